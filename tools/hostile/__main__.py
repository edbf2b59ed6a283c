"""Sends hostile requests to a server on which four ordinary clients chat, and says what these noticed.

    python -m tools.hostile [--requests 400] [--seed 1] [--at-once 4] [--memory-gib 3] [--json FILE]

The server runs under a limit on its address space. In the control run, as many clients more send ordinary requests;
what hostile requests add to it is the delay. Exit status 1: a bar was missed.
"""

import argparse
import json
import os
import queue
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import httpx
import psutil

from .grammar import CHAT, TEXT, Attack, attack
from .watch import watching
from .wire import send

GOOD = {"200", "400", "401", "403", "404", "405", "408", "411", "413", "414", "415", "422", "429", "431", "501"}
CUT = {"closed", "reset"}  # right for those who break the protocol
PATIENT_KINDS = {"slow", "bytes"}
OUR_FAULT = ("server_error", "engine_dead", "Internal Server Error")
MAX_DELAY_S, MAX_HEALTH_S, MAX_GROWTH = 1.0, 0.5, 0.1
CONTROL_S = 20.0


def main() -> None:
    options = _options()
    with serving(options.memory_gib) as (port, process):
        report = run(port, process, options)
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        with open(options.json, "w") as file:
            file.write(text + "\n")
    sys.exit(bool(report["missed"]))


def run(port: int, process: psutil.Process, options: argparse.Namespace) -> dict:
    """Control, the hostile requests, and memory before and after them."""
    url = f"http://127.0.0.1:{port}"
    ordinary = Attack("ordinary", CHAT, json.dumps({"messages": TEXT, "max_tokens": 24, "temperature": 0}).encode())
    send(port, ordinary)  # what a server does once
    with watching(url, {}) as control:
        _in_turn(port, lambda number: ordinary, None, options.at_once, time.monotonic() + CONTROL_S)
    numbers = range(options.requests)
    half = options.requests // 2
    with watching(url, control.answers) as hostile:
        outcomes = _in_turn(port, lambda n: attack(options.seed, n), numbers[:half], options.at_once)
        middle_mib = _resident_mib(process)  # whatever grows once has grown
        outcomes += _in_turn(port, lambda n: attack(options.seed, n), numbers[half:], options.at_once)
    after_mib = _resident_mib(process)
    report = {
        "requests": len(outcomes),
        "statuses": dict(Counter(status for _, _, status, _, _ in outcomes)),
        "bad": [
            f"{n} {a.kind} {a.path} {a.way}: {status} {body[:200]}"
            for n, a, status, body, _ in outcomes
            if _is_bad(a, status, body)
        ],
        "slowest_hostile_s": [
            [round(s, 1), n, a.kind, a.way] for n, a, _, _, s in sorted(outcomes, key=lambda o: -o[4])[:8]
        ],
        "control": _figures(control),
        "hostile": _figures(hostile),
        "delay_s": round(max(hostile.first_s) - statistics.median(control.first_s), 3),
        "resident_mib": [middle_mib, after_mib],
        "failures": (control.failures + hostile.failures)[:20],
    }
    missed = {
        "an ordinary request failed": bool(report["failures"]),
        "a hostile request was answered with our fault": bool(report["bad"]),
        f"an ordinary request was delayed by more than {MAX_DELAY_S} s": report["delay_s"] > MAX_DELAY_S,
        f"/health took more than {MAX_HEALTH_S} s": report["hostile"]["health_max_s"] > MAX_HEALTH_S,
        "memory grew": after_mib > (1 + MAX_GROWTH) * middle_mib,
        "the server ended": not process.is_running(),
    }
    return report | {"missed": [what for what, is_so in missed.items() if is_so]}


def _is_bad(attack: Attack, status: str, body: str) -> bool:
    if any(word in body for word in OUR_FAULT):
        return True
    return status not in GOOD and not (attack.kind in PATIENT_KINDS and status in CUT | {"timeout"})


def _in_turn(port: int, make, numbers, at_once: int, until_s: float | None = None) -> list[tuple]:
    """Sends requests, so many at once: all numbers, or any number until a time. (number, request, status, body, s)."""
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    for number in numbers or ():
        jobs.put(number)
    outcomes: list[tuple] = []

    def work() -> None:
        while True:
            try:
                number = 0 if until_s else jobs.get_nowait()
            except queue.Empty:
                return
            made, started_s = make(number), time.monotonic()
            if until_s and started_s > until_s:
                return
            outcomes.append((number, made, *send(port, made), time.monotonic() - started_s))

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


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
def serving(memory_gib: float):
    """`kimi-cpu serve` with the bundled model under a limit on its address space; yields its port and process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    limit = int(memory_gib * 2**30)
    command = [sys.executable, "-m", "kimi_cpu", "serve", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "KIMI_CPU_MODEL"}
    server = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    try:
        _wait_until_ready(port, server)
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_ready(port: int, server: subprocess.Popen) -> None:
    while server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"The server ended with {server.returncode} before it was ready.")


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
