"""A batch over engines that Ray runs on this machine, beside the same batch without Ray.

    python benchmarks/batch_cluster.py [MODEL] [--requests 20000] [--engines 3] [--ways one shards ray]

The ways: `one` process alone, with one thread; so many processes at once, each with its shard, one thread each; as many
engines of one thread over Ray. A request costs the CPU time of all processes that take part, the driver's and Ray's own
among them, from the first 5 % of the results to 95 %: engines that are more than cores have no time of their own.
`shards` keeps the cores as busy as `ray` does, and so is the fair comparison; `one` leaves them to one thread.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from batch import answers
from machine import ROOT, card, put_part

from kimi_cpu.llm import BUNDLED_MODEL

sys.path.append(str(Path(__file__).parents[1]))

from tools.hosts.cluster import Cluster

RESULTS = Path(__file__).with_name("results-batch.md")
AT_ONCE = 16  # sequences of an engine
TOKENS = 41  # of an answer, on average
FROM, TO = 0.05, 0.95  # of the results, between which is measured
MARKS = (FROM, 0.25, 0.5, 0.75, TO)
POLL_S = 0.1
MIB = 1 << 20


class Mark(NamedTuple):
    """When so many results were there. CPU time until then: driver_s, of the processes that hold a journal; engine_s,
    of engines that are others; ray_s, of what else Ray runs. driver_bytes: of memory that drivers have to
    themselves."""

    count: int
    at_s: float
    driver_s: float
    engine_s: float
    ray_s: float
    driver_bytes: int


class Way(NamedTuple):
    """A way to run the batch. outputs: its files of results. drivers: processes that hold a journal. cluster: of the
    engines, if they are others."""

    outputs: list[Path]
    drivers: list[subprocess.Popen]
    cluster: Cluster | None = None


class Lines:
    """Counts the lines of files that grow."""

    def __init__(self, paths: Sequence[Path]):
        self._counts = dict.fromkeys(paths, (0, 0))  # bytes read, lines

    def count(self) -> int:
        """Those that are there now."""
        for path, (at, lines) in self._counts.items():
            if path.exists():
                with path.open("rb") as file:
                    file.seek(at)
                    data = file.read()
                self._counts[path] = at + len(data), lines + data.count(b"\n")
        return sum(lines for _, lines in self._counts.values())


def requests(count: int) -> Iterator[dict]:
    """Lines of a batch: short prompts, and answers of 21 to 61 tokens."""
    draw = random.Random(0)
    for number in range(count):
        text = f"Tell me about the number {draw.randrange(10**6)}."
        body = {"prompt": text, "max_tokens": TOKENS + draw.randint(-20, 20), "ignore_eos": True}
        yield {"custom_id": f"request-{number}", "method": "POST", "url": "/v1/completions", "body": body}


def command(model: Path, source: Path, output: Path, *more: str) -> list[object]:
    """A run as a person starts it."""
    run = [sys.executable, "-m", "kimi_cpu", "batch", source, "-o", output, "-m", model, "-c", "1024"]
    return [*run, "--threads", "1", "--parallel", str(AT_ONCE), *more]


@contextmanager
def processes(model: Path, source: Path, folder: Path, count: int) -> Iterator[Way]:
    """So many processes, each with its shard."""
    outputs = [folder / f"{number}-of-{count}.jsonl" for number in range(1, count + 1)]
    shards = [["--shard", f"{number}/{count}"] if count > 1 else [] for number in range(1, count + 1)]
    drivers = [
        subprocess.Popen(command(model, source, output, *shard), cwd=ROOT, stderr=subprocess.DEVNULL)
        for output, shard in zip(outputs, shards, strict=True)
    ]
    yield Way(outputs, drivers)


@contextmanager
def over_ray(model: Path, source: Path, folder: Path, count: int) -> Iterator[Way]:
    """So many engines of a Ray cluster, and their driver."""
    output = folder / "ray.jsonl"
    with tempfile.TemporaryDirectory(prefix="k") as place, Cluster(Path(place)) as cluster:
        cluster.start(count, count)
        run = command(model, source, output, "--ray", cluster.address)
        driver = subprocess.Popen(run, cwd=ROOT, env=cluster.env, stderr=subprocess.DEVNULL)
        yield Way([output], [driver], cluster)


def measured(way: Way, count: int) -> list[Mark]:
    """The marks of a run, which is over then."""
    lines, began_s, marks = Lines(way.outputs), time.monotonic(), list[Mark]()
    while any(driver.poll() is None for driver in way.drivers):
        done = lines.count()
        if len(marks) < len(MARKS) and done >= MARKS[len(marks)] * count:
            marks.append(mark(way, done, time.monotonic() - began_s))
        time.sleep(POLL_S)
    assert all(driver.returncode == 0 for driver in way.drivers) and lines.count() == count, "a run has failed"
    assert len(marks) == len(MARKS), "the run was too short"
    return marks


def mark(way: Way, count: int, at_s: float) -> Mark:
    """The state of a run."""
    drivers = [psutil.Process(driver.pid) for driver in way.drivers]
    engines = set(way.cluster.engines()) if way.cluster else set()
    others = [child for node in (way.cluster.nodes if way.cluster else ()) for child in family(node)]
    return Mark(
        count,
        at_s,
        sum(map(cpu_s, drivers)),
        sum(cpu_s(process) for process in others if process.pid in engines),
        sum(cpu_s(process) for process in others if process.pid not in engines),
        sum(driver.memory_full_info().uss for driver in drivers),
    )


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process until now."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=BUNDLED_MODEL)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--engines", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=["one", "shards", "ray"], default=["one", "shards", "ray"])
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    args = parser.parse_args()
    ways = {
        "one": ("one process", processes, 1),
        "shards": (f"{args.engines} processes, a shard each", processes, args.engines),
        "ray": (f"{'one engine' if args.engines == 1 else f'{args.engines} engines'} over Ray", over_ray, args.engines),
    }
    lines = [
        "| | CPU ms a request | drivers | engines | Ray | ms a request | drivers' memory, MiB, after "
        + ", ".join(f"{share:.0%}" for share in MARKS)
        + " |",
        f"|{'--|' * 7}",
    ]
    told = list[dict[str, dict]]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = folder / "in.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in requests(args.requests)))
        for name, run, count in (ways[way] for way in args.ways):
            with run(args.model.absolute(), source, folder, count) as way:
                marks = measured(way, args.requests)
            told.append({key: body for output in way.outputs for key, body in answers(output).items()})
            first, last = marks[0], marks[-1]
            per = 1e3 / (last.count - first.count)
            memory = ", ".join(f"{mark.driver_bytes / MIB:.0f}" for mark in marks)
            cpu_ms = [per * (getattr(last, kind) - getattr(first, kind)) for kind in ("driver_s", "engine_s", "ray_s")]
            cells = [f"{value:.2f}" for value in (sum(cpu_ms), *cpu_ms, per * (last.at_s - first.at_s))]
            lines.append(f"| {name} | {' | '.join(cells)} | {memory} |")
            print(lines[-1], flush=True)
    assert all(found == told[0] for found in told), "the answers differ"
    text = [
        f"{args.model.name}: {args.requests:,} requests, {TOKENS} tokens each, {AT_ONCE} at once on each engine of one",
        f"thread, from {FROM:.0%} to {TO:.0%} of the results." + " The answers are equal." * (len(told) > 1),
        "",
        *lines,
        "",
        *card(("numpy", "numba", "ray")),
    ]
    print("\n".join(text))
    if args.write:
        put_part(RESULTS, "Batch\n\nWritten by benchmarks/batch.py.", f"Over Ray, {args.requests:,} requests", text)


if __name__ == "__main__":
    main()
