"""Conversion beside a plain copy of as many bytes, its memory, and its survival of kill -9. Writes results-convert.md.

    python tools/make_slice.py SLICE --layers 3
    python benchmarks/convert.py SLICE --work FOLDER [--rounds 5] [--kills 10] [--seed 0]

The copy is `cp --reflink=never SRC DST && sync DST`, SRC being the converted file. Copy and conversion take turns, and
turns in being first. Cold: the pages of all input files are dropped before each run (posix_fadvise DONTNEED); warm:
they are read before each run. What is left of them in memory is measured (mincore). FOLDER needs room for the model
twice and is left as it was.
"""

import argparse
import ctypes
import mmap
import os
import random
import resource
import subprocess
import sys
import time
from hashlib import file_digest
from pathlib import Path
from statistics import median
from typing import NamedTuple

from machine import GIB, ROOT, anonymous_bytes, card, spread

RESULTS = Path(__file__).with_name("results-convert.md")
SAMPLE_SECONDS = 0.01
MOST_ANONYMOUS = 2 * GIB
LEAST_RATIO = 0.6


class Run(NamedTuple):
    """A finished conversion or copy. cached: share of its input's pages in memory at the start."""

    seconds: float
    cached: float
    cpu: float  # seconds of processor time
    others: float  # cores that everything else on the machine kept busy, the kernel's writing included
    anonymous: int  # bytes at the peak; 0 for a copy


class Kill(NamedTuple):
    """seconds: since that run had opened its journal. parts: that the journal then called written."""

    seconds: float
    parts: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="checkpoint directory")
    parser.add_argument("--work", type=Path, required=True, help="an existing folder on the disk to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, copy = options.work / "convert-bench.gguf", options.work / "convert-bench-copy.gguf"
    try:
        convert(options.source, model)  # compiles the packing kernels, too
        expected, size = sha256(model), model.stat().st_size
        lines = introduction(options, size)
        peak, passed = 0, True
        for cold in (False, True):
            ours, theirs = race(options.source, model, copy, options.rounds, cold)
            peak = max(peak, *(run.anonymous for run in ours))
            passed &= ratio(ours, theirs) >= LEAST_RATIO
            lines += table_rows("cold" if cold else "warm", ours, theirs, size)
            print(*lines[-2:], sep="\n", flush=True)
        passed &= peak < MOST_ANONYMOUS
        lines += ["", f"Peak anonymous memory of the conversions: {peak / GIB:.2f} GiB (required: below 2)."]
        if options.kills:
            kills, equal = survive(options, copy, expected)
            passed &= equal
            lines += kill_report(kills, equal, expected, options.seed)
        lines += ["", f"All requirements met: {'yes' if passed else 'NO'}."]
        RESULTS.write_text("\n".join(lines) + "\n")
        print("\n".join(lines))
    finally:
        for path in (model, copy):
            remove(path)
    sys.exit(not passed)


def race(source: Path, model: Path, copy: Path, rounds: int, cold: bool) -> tuple[list[Run], list[Run]]:
    """Conversions of source and copies of model, all to `copy`, in turn."""
    inputs = sorted(path for path in source.iterdir() if path.is_file())
    ours, theirs = [], []
    for number in range(rounds):
        for contender in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            remove(copy)
            os.sync()  # nothing of the last run is still being written
            files = inputs if contender == "ours" else [model]
            cached = settle(files, cold)
            busy, used = busy_seconds(), children_seconds()
            if contender == "ours":
                seconds, anonymous = convert(source, copy)
            else:
                seconds, anonymous = plain_copy(model, copy), 0
            used = children_seconds() - used
            others = (busy_seconds() - busy - used) / seconds
            (ours if contender == "ours" else theirs).append(Run(seconds, cached, used, others, anonymous))
            print(contender, "cold" if cold else "warm", (ours if contender == "ours" else theirs)[-1], flush=True)
    remove(copy)
    return ours, theirs


def convert(source: Path, out: Path) -> tuple[float, int]:
    """(seconds, peak bytes of anonymous memory) of `kimi-cpu convert`, start of Python and sync included."""
    start, peak = time.perf_counter(), 0
    process = start_conversion(source, out)
    while process.poll() is None:
        peak = max(peak, anonymous_bytes(process.pid))
        time.sleep(SAMPLE_SECONDS)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"kimi-cpu convert ended with exit code {process.returncode}.")
    return seconds, peak


def start_conversion(source: Path, out: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "kimi_cpu", "convert", str(source.resolve()), "-o", str(out.resolve())]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def plain_copy(source: Path, out: Path) -> float:
    """Seconds of cp and sync."""
    start = time.perf_counter()
    subprocess.run(["cp", "--reflink=never", source, out], check=True)
    subprocess.run(["sync", out], check=True)
    return time.perf_counter() - start


def children_seconds() -> float:
    """Processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def busy_seconds() -> float:
    """Processor time that the whole machine has spent since its start, without idling and waiting for the disk."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq = (int(x) for x in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def survive(options: argparse.Namespace, out: Path, expected: str) -> tuple[list[Kill], bool]:
    """Kills one conversion again and again, then lets it end: (kills, whether the file is the uninterrupted one).

    The instants are uniform over the work of an undisturbed conversion, counted from when it opens its journal.
    """
    draw = random.Random(options.seed)
    work = undisturbed_work(options.source, out)
    instants = sorted(draw.uniform(0, work) for _ in range(options.kills))
    kills = []
    for number, (last, instant) in enumerate(zip([0.0, *instants], instants, strict=False)):
        process, opened = opened_conversion(options.source, out, *(["--resume"] if number else []))
        time.sleep(max(0.0, opened + instant - last - time.perf_counter()))
        ended = process.poll() is not None
        process.kill()
        process.wait()
        if ended:
            raise RuntimeError(f"The conversion ended before kill {number + 1}; choose another --seed.")
        kills.append(Kill(instant - last, parts_done(out)))
        print(kills[-1], flush=True)
    process = start_conversion(options.source, out, "--resume")
    equal = process.wait() == 0 and sha256(out) == expected
    left = [journal_of(out), out.with_name(out.name + ".partial")]
    return kills, equal and not any(path.exists() for path in left)


def undisturbed_work(source: Path, out: Path) -> float:
    """Seconds from the opened journal to the end of a conversion."""
    process, opened = opened_conversion(source, out)
    process.wait()
    seconds = time.perf_counter() - opened
    remove(out)
    os.sync()
    return seconds


def opened_conversion(source: Path, out: Path, *arguments: str) -> tuple[subprocess.Popen, float]:
    """A running conversion that has just put its own journal in place, and when that was."""
    journal = journal_of(out)
    before = journal.stat().st_ino if journal.exists() else None
    process = start_conversion(source, out, *arguments)
    while not journal.exists() or journal.stat().st_ino == before:
        if process.poll() is not None:
            raise RuntimeError("The conversion ended before it opened its journal.")
        time.sleep(SAMPLE_SECONDS / 10)
    return process, time.perf_counter()


def parts_done(out: Path) -> int:
    return sum(line.startswith("part ") for line in journal_of(out).read_text().splitlines())


def journal_of(out: Path) -> Path:
    return out.with_name(out.name + ".journal")


def settle(files: list[Path], cold: bool) -> float:
    """Drops the files' pages from memory, or reads them all; the share that is in memory then."""
    for path in files:
        with path.open("rb") as file:
            if cold:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while not cold and file.read(1 << 24):
                pass
    return cached_share(files)


def cached_share(files: list[Path]) -> float:
    """Share of the files' pages that are in memory."""
    mincore = ctypes.CDLL(None, use_errno=True).mincore
    mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    cached, total = 0, 0
    for path in files:
        size = path.stat().st_size
        num_pages = -(-size // mmap.PAGESIZE)
        with path.open("rb") as file, mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE) as pages:
            states = ctypes.create_string_buffer(num_pages)
            first = ctypes.c_char.from_buffer(pages)
            failed = mincore(ctypes.addressof(first), size, states)
            del first  # or the map cannot be closed
        if failed:
            raise OSError(ctypes.get_errno(), "mincore failed", str(path))
        cached += sum(state & 1 for state in states.raw)
        total += num_pages
    return cached / total


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """The file, and what an interrupted conversion to it left."""
    for victim in (path, path.with_name(path.name + ".partial"), journal_of(path)):
        victim.unlink(missing_ok=True)


def ratio(ours: list[Run], theirs: list[Run]) -> float:
    """Speed of the conversion in speeds of the copy."""
    return median(run.seconds for run in theirs) / median(run.seconds for run in ours)


def introduction(options: argparse.Namespace, size: int) -> list[str]:
    source = sum(path.stat().st_size for path in options.source.iterdir() if path.is_file())
    return [
        "# Conversion",
        "",
        f"Written by benchmarks/convert.py: {options.rounds} alternating rounds; seconds: median (fastest-slowest).",
        "",
        *card(),
        "",
        f"Checkpoint {source / 1e9:.2f} GB, converted file {size / 1e9:.2f} GB (native layout, dense q8_0). The",
        "conversion is the whole command `python -m kimi_cpu convert`, its own sync included; the copy is",
        "`cp --reflink=never SRC DST && sync DST` of the converted file. Cold: posix_fadvise(DONTNEED) on all input",
        "files before each run; warm: all read before each run. Input cached: measured at the start of the runs.",
        "CPU s: processor time of the contender; others: cores that everything else kept busy meanwhile (medians).",
        "",
        "| cache | contender | input cached | seconds | GB/s | CPU s | others | convert : copy (>= 0.60) |",
        "|---|---|---|---|---|---|---|---|",
    ]


def table_rows(state: str, ours: list[Run], theirs: list[Run], size: int) -> list[str]:
    return [
        table_row(state, "convert", ours, size, f"{ratio(ours, theirs):.2f}"),
        table_row(state, "copy", theirs, size, ""),
    ]


def table_row(state: str, contender: str, runs: list[Run], size: int, last: str) -> str:
    seconds = [run.seconds for run in runs]
    speed = size / 1e9 / median(seconds)
    cpu, others = median(run.cpu for run in runs), median(run.others for run in runs)
    cached = 100 * median(run.cached for run in runs)
    cells = [state, contender, f"{cached:.0f} %", spread(seconds), f"{speed:.2f}", f"{cpu:.1f}", f"{others:.1f}", last]
    return "| " + " | ".join(cells) + " |"


def kill_report(kills: list[Kill], equal: bool, expected: str, seed: int) -> list[str]:
    each = ", ".join(f"{kill.seconds:.2f} s ({kill.parts})" for kill in kills)
    return [
        "",
        f"kill -9 at {len(kills)} random instants of one conversion (seed {seed}), each followed by --resume. Seconds",
        f"since that run opened its journal (parts then written): {each}.",
        f"SHA-256 of the final file {'equals' if equal else 'DOES NOT EQUAL'} that of the uninterrupted one,",
        f"{expected}; journal and partial file are gone.",
    ]


if __name__ == "__main__":
    main()
