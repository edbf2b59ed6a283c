"""Sends hostile requests to a server on which four ordinary clients chat, and says what these noticed.

    python -m tools.hostile [--requests 400] [--seed 1] [--at-once 4] [--memory-gib 3] [--json FILE]

The server runs under a limit on its address space. In the control run, as many clients more send ordinary requests;
what hostile requests add to it is the delay. Exit status 1: a bar was missed.
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import statistics
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import psutil

from ..starting import free_port, wait_until_ready
from .grammar import attack
from .sending import ORDINARY, Outcome, in_turn
from .watch import watching
from .wire import send

MAX_DELAY_S, MAX_HEALTH_S, MAX_GROWTH = 1.0, 0.5, 0.1
CONTROL_S = 20.0
IMPATIENT = """
import functools, sys
from kimi_cpu import server
from kimi_cpu.cli import main
server.Settings = functools.partial(server.Settings, slow_s=float(sys.argv.pop(1)))
main()
"""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends as well
    with serving(options.memory_gib) as (port, process):
        report = run(port, process, options)
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        with open(options.json, "w") as file:
            file.write(text + "\n")
    sys.exit(bool(report["missed"]))


def run(port: int, process: psutil.Process, options: argparse.Namespace) -> dict:
    """Control, the hostile requests, and memory after them and after the same ones again, but for those that wait."""
    url, numbers = f"http://127.0.0.1:{port}", range(options.requests)
    again = [number for number in numbers if attack(options.seed, number).kind != "slow"]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as senders:  # whose work is not the watchers'

        def send_all(*arguments) -> list[Outcome]:
            return senders.submit(in_turn, port, options.at_once, options.seed, *arguments).result()

        send(port, ORDINARY)  # what a server does once
        with watching(url, {}) as control:
            send_all((), CONTROL_S)
        with watching(url, control.answers) as hostile:
            outcomes = send_all(numbers)
            once_mib = _resident_mib(process)  # whatever grows once has grown
            outcomes += send_all(again)
        after_mib = _resident_mib(process)
    delay_s = max(hostile.first_s) - statistics.median(control.first_s)
    health_s = max(hostile.health_s)
    bad = [outcome for outcome in outcomes if outcome.is_bad]
    missed = {
        "an ordinary request failed": bool(control.failures or hostile.failures),
        "a hostile request was answered with our fault": bool(bad),
        f"an ordinary request was delayed by more than {MAX_DELAY_S} s": delay_s > MAX_DELAY_S,
        f"/health took more than {MAX_HEALTH_S} s": health_s > MAX_HEALTH_S,
        "memory grew": after_mib > (1 + MAX_GROWTH) * once_mib,
        "the server ended": not process.is_running(),
    }
    return {
        "requests": len(outcomes),
        "seed": options.seed,
        "statuses": dict(Counter(outcome.status for outcome in outcomes)),
        "bad": [str(outcome) for outcome in bad],
        "slowest": [str(outcome) for outcome in sorted(outcomes, key=lambda o: -o.seconds)[:8]],
        "control": _figures(control),
        "hostile": _figures(hostile),
        "delay_s": round(delay_s, 3),
        "slow_probes": [
            f"{seconds:.2f} s beside {[o.number for o in outcomes if o.overlaps(began_s, began_s + seconds)]}"
            for began_s, seconds in hostile.waits
        ],
        "resident_mib": [once_mib, after_mib],
        "failures": (control.failures + hostile.failures)[:20],
        "missed": [what for what, is_so in missed.items() if is_so],
    }


def _figures(seen) -> dict:
    return {
        "ordinary_requests": len(seen.first_s),
        "first_median_s": round(statistics.median(seen.first_s), 3),
        "first_max_s": round(max(seen.first_s), 3),
        "whole_median_s": round(statistics.median(seen.whole_s), 3),
        "whole_max_s": round(max(seen.whole_s), 3),
        "probes": len(seen.health_s),
        "health_median_s": round(statistics.median(seen.health_s), 3),
        "health_max_s": round(max(seen.health_s), 3),
    }


def _resident_mib(process: psutil.Process) -> int:
    return round(process.memory_info().rss / 2**20)


@contextmanager
def serving(memory_gib: float, slow_s: float | None = None):
    """`kimi-cpu serve` with the bundled model under a limit on its address space; yields its port and process. slow_s:
    seconds for which it waits for a client, where they are not its own default."""
    port = free_port()
    limit = int(memory_gib * 2**30)
    program = ["-m", "kimi_cpu"] if slow_s is None else ["-c", IMPATIENT, str(slow_s)]
    command = [sys.executable, *program, "serve", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "KIMI_CPU_MODEL"}
    server = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    try:
        if not wait_until_ready(f"http://127.0.0.1:{port}", server):
            raise SystemExit(f"The server ended with {server.returncode} before it was ready.")
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--memory-gib", type=float, default=3)
    parser.add_argument("--json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
