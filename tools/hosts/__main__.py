"""python -m tools.hosts [--kind killed|cut|served] [--requests N] [--engines N]"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..kills.batch import answers
from . import __doc__ as about
from .cluster import ROOT, Cluster
from .network import Network
from .served import served

PARALLEL = 2  # of an engine, so that the small model takes its time
ENGINES_KILLED, DRIVERS_KILLED = 5, 3
CUT_AFTER, CUT_S, FOR_EVER_AFTER_S = 0.05, 20.0, 5.0  # of the requests; a host is away; and then another one
POLL_S = 0.05
DIFFERENT = "the lines are not those of one process"
NAMES, CITIES = ("Anna", "Tom", "Mia", "Ben"), ("Paris", "Rome", "Oslo", "Bern")


def main() -> int:
    """0: the lines were those of one process."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=KINDS, help="may be given several times; all")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="of the bundled model")
    parser.add_argument("--engines", type=int, default=3, metavar="N")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="k"))  # the paths of sockets must be short
    try:
        source, expected = folder / "in.jsonl", folder / "expected.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in requests(given.requests)))
        one = [sys.executable, "-m", "kimi_cpu", "batch", source, "-o", expected]
        subprocess.run(one, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        for kind in given.kind or KINDS:
            began, place = time.monotonic(), folder / kind
            place.mkdir()
            KINDS[kind](place, source, expected, given.engines)
            print(f"{kind}: {given.requests} answers as of one process, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        shutil.rmtree(folder)
    return 0


def killed(folder: Path, source: Path, expected: Path, num_engines: int) -> None:
    """Kills engines and drivers with SIGKILL, one after some results each."""
    output, draw = folder / "out.jsonl", random.Random(0)
    due = iter([*["engine", "engine", "driver"] * (DRIVERS_KILLED - 1), "engine", "driver"])
    next_kill, known, counts = next(due), 0, {"engine": 0, "driver": 0}
    with Cluster(folder) as cluster:
        cluster.start(num_engines, num_engines)
        while True:
            driver = cluster.batch(source, "-o", output, "--parallel", PARALLEL)
            for number in results(driver, output):
                if next_kill is None or number < known + PARALLEL:
                    continue
                victims = [driver.pid] if next_kill == "driver" else cluster.engines()
                if victims:
                    os.kill(draw.choice(victims), signal.SIGKILL)
                    counts[next_kill] += 1
                    next_kill, known = next(due, None), number
            if driver.returncode != -signal.SIGKILL:
                break
        assert driver.returncode == 0, driver.communicate()[1].decode()
    assert counts == {"engine": ENGINES_KILLED, "driver": DRIVERS_KILLED}, f"too few were killed: {counts}"
    assert answers(output) == answers(expected), DIFFERENT


def cut(folder: Path, source: Path, expected: Path, num_engines: int) -> None:
    """Runs each engine on a host of its own, and cuts one off for CUT_S, and another one for ever."""
    output, size = folder / "out.jsonl", len(source.read_bytes().splitlines())
    at_s: dict[str, float] = {}
    with Network(num_engines) as network, Cluster(folder) as cluster:
        cluster.start_on(network)
        driver = cluster.batch(source, "-o", output, "--parallel", PARALLEL, inside=network.inside(0))
        for number in results(driver, output):
            now_s = time.monotonic()
            if "cut" not in at_s and number > CUT_AFTER * size:
                network.cut(1)
                at_s["cut"] = now_s
            elif "cut" in at_s and "for ever" not in at_s and now_s > at_s["cut"] + FOR_EVER_AFTER_S:
                network.cut(num_engines - 1)
                at_s["for ever"] = now_s
            elif "cut" in at_s and "joined" not in at_s and now_s > at_s["cut"] + CUT_S:
                network.join(1)
                at_s["joined"] = now_s
        assert driver.returncode == 0, driver.communicate()[1].decode()
    assert at_s.keys() == {"cut", "for ever", "joined"}, f"the run was too short: {at_s}"
    assert answers(output) == answers(expected), DIFFERENT


KINDS = {"killed": killed, "cut": cut, "served": served}


def results(driver: subprocess.Popen[bytes], output: Path) -> Iterator[int]:
    """The number of results, again and again while a process runs."""
    while driver.poll() is None:
        yield output.read_bytes().count(b"\n") if output.exists() else 0
        time.sleep(POLL_S)


def requests(count: int) -> Iterator[dict]:
    """Lines that the bundled model answers in some words."""
    draw = random.Random(0)
    for number in range(count):
        a, b = draw.sample(NAMES, 2)
        questions = (
            f"What is {draw.randint(1, 99)} + {draw.randint(1, 99)}?",
            f"Which is larger, {draw.randint(1, 999)} or {draw.randint(1, 999)}?",
            f"{a} lives in {draw.choice(CITIES)}. {b} lives in {draw.choice(CITIES)}. Where does {a} live?",
        )
        messages = [{"role": "user", "content": questions[number % len(questions)]}]
        body = {"messages": messages, "max_tokens": 64}
        yield {"custom_id": f"q-{number}", "url": "/v1/chat/completions", "body": body}


if __name__ == "__main__":
    sys.exit(main())
