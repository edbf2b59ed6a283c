"""Speed of every kernel at K2's widths beside the memory's bandwidth, measured in turn in the same run.

    python benchmarks/kernels.py [--threads 1,2] [--tokens 1,16,512] [--only experts] [--rounds 7] [--write]

GB/s are bytes of weights or cache that one call reads; GMAC/s multiply-adds, attention without masked pairs. "reader"
is what a loop of plain loads gets from memory between the calls, on the same threads; "fma" what one thread's f32
multiply-adds reach in registers. --write puts the table into benchmarks/results-kernels-<isa>.md.
"""

import argparse
import ctypes
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
from kimi_cpu.kernels.codegen.code_cache import Entry
from kimi_cpu.kernels.codegen.native import Library, Micro
from kimi_cpu.kernels.codegen.simd import F32, Emitter, Variable, Vec
from kimi_cpu.kernels.memory_reader import Reader
from kimi_cpu.machine import usable_cores

CHAINS, TURNS = 12, 1_000_000  # sums that do not wait for each other, and fit 16 registers
HERE = Path(__file__).parent
HEADER = "| threads | case | ms | GB/s | reader GB/s | share | GMAC/s | GMAC/s a thread |\n|--|--|--|--|--|--|--|--|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default=f"1,{usable_cores()}")
    parser.add_argument("--tokens", default="1,16,512")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runtime.warmup()
    lines = [*card(), f"fma: {fma_rate():.0f} GMAC/s a thread", "", HEADER]
    print("\n".join(lines))
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
    """The lines above the table: machine, tier, commit and date, without which a number is worth nothing."""
    facts = runtime.describe()
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((x.split(":")[1].strip() for x in cpuinfo.splitlines() if x.startswith("model name")), "")
    sha = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE
    ).stdout.strip()
    yield "# Kernels, written by benchmarks/kernels.py"
    yield ""
    yield f"{model or platform.processor()} ({facts['cpu']}), {facts['cpus']} CPUs,"
    yield f"isa {facts['isa']}, numba OpenMP layer, commit {sha}, {datetime.date.today()}; medians;"


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


def fma_rate() -> float:
    """GMAC/s of one thread that multiplies and adds f32 registers of this tier, and loads nothing: the best of 9."""
    tier = runtime.isa()
    code = Library(tier, [Micro("fma", "ii", fma_chains)], ["fma"], Entry(None))
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(int(code.addresses[0]))
    target = np.zeros(CHAINS * tier.lanes, np.float32)
    best = min(seconds(lambda: call(TURNS, target.ctypes.data)) for _ in range(9))
    return TURNS * CHAINS * tier.lanes / best / 1e9


def fma_chains(e: Emitter, turns: Vec, target: Vec) -> None:
    """CHAINS registers, each times a number plus a number, `turns` times."""
    kind, size = e.lanes_of(F32), 4 * e.isa.lanes
    sums = [Variable(e, e.load(target + size * i, kind)) for i in range(CHAINS)]
    factor, more = e.f32s(0.5), e.f32s(0.25)
    with e.loop(turns):
        for total in sums:
            total.set(e.fma(total.get(), factor, more))
    for i, total in enumerate(sums):
        e.store(target + size * i, total.get())


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
