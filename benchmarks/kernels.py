"""Speed of every kernel at K2's widths beside the memory's bandwidth, measured in turn in the same run.

    python benchmarks/kernels.py [--threads 1,2] [--tokens 1,16,512] [--only experts] [--rounds 7] [--write]

GB/s are bytes of weights or cache that one call reads; GMAC/s multiply-adds, attention without masked pairs. "reader"
is what a loop of plain loads gets from memory between the calls, on the same threads. --write puts the table into
benchmarks/results-kernels-<isa>.md.
"""

import argparse
import datetime
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kimi_cpu import kernels
from kimi_cpu.kernels import cases, runtime
from kimi_cpu.kernels.bandwidth import Reader

HERE = Path(__file__).parent
HEADER = "| threads | case | ms | GB/s | reader GB/s | share | GMAC/s | GMAC/s a thread |\n|--|--|--|--|--|--|--|--|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default=f"1,{runtime.default_threads()}")
    parser.add_argument("--tokens", default="1,16,512")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [*card(), "", HEADER]
    print("\n".join(lines))
    runtime.warmup()
    reader = Reader()
    for tokens in (int(n) for n in options.tokens.split(",")):
        for case in cases.large(tokens):
            if options.only not in case.name:
                continue
            for threads in dict.fromkeys(int(n) for n in options.threads.split(",")):
                runtime.configure(threads)
                lines.append(row(case, threads, reader, options.rounds))
                print(lines[-1], flush=True)
    if options.write:
        (HERE / f"results-kernels-{runtime.isa().name}.md").write_text("\n".join(lines) + "\n")


def card() -> Iterator[str]:
    """What a number is worth nothing without."""
    facts = runtime.describe()
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((x.split(":")[1].strip() for x in cpuinfo.splitlines() if x.startswith("model name")), "")
    sha = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE
    ).stdout.strip()
    yield "# Kernels, written by benchmarks/kernels.py"
    yield ""
    yield f"{model or platform.processor()} ({facts['cpu']}), {facts['cpus']} CPUs,"
    yield f"isa {facts['isa']}, numba OpenMP layer, commit {sha}, {datetime.date.today()}; medians."


def row(case: cases.Case, threads: int, reader: Reader, rounds: int) -> str:
    """A line of the table."""
    problem = case.build(np.random.default_rng(0))
    function = getattr(kernels, case.kernel)
    reader.evict()
    function(*problem.arguments)
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(reader.bandwidth(threads))  # and nothing of the case is left in the caches
        ours.append(seconds(lambda: function(*problem.arguments)))
    t, bandwidth = statistics.median(ours), statistics.median(theirs)
    rate, macs = case.weight_bytes / t / 1e9, case.macs / t / 1e9
    share = f"{rate / bandwidth:.0%}" if rate else ""
    return (
        f"| {threads} | {case.name} | {t * 1e3:.3f} | {rate:.1f} | {bandwidth:.1f} | {share} "
        f"| {macs:.1f} | {macs / threads:.1f} |"
    )


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
