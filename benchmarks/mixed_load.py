"""Whether a model that is larger than the memory stays within its budget, whatever is asked of it.

    sudo python benchmarks/mixed_load.py DIR/native.gguf [--share 25] [--minutes 20] [--threads N] [--write]

The engine runs in a control group (version 1 or 2) whose limit is the budget and 256 MiB, and does one thing after the
other, again and again: a long prompt, one answer, 16 at once, prompts and answers that are cancelled after a while, an
answer whose routing changes its domain, and a model that is suspended and resumed while it answers. In the last
phase of a round the limit is lowered bit by bit by an eighth of the budget, and raised again. Ten times a second its
anonymous and locked memory is read, and what the group is charged for without pages of files, which give way.

Time in which the process is stopped (SIGSTOP) does not count.
"""

import argparse
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.machine import card, put_part  # noqa: E402
from benchmarks.out_of_core import (  # noqa: E402
    ABOVE,
    CONTEXT,
    RESULTS,
    SAMPLE_S,
    Group,
    budget_of,
    control_group,
    forget,
)
from benchmarks.out_of_core_engine import Watched  # noqa: E402
from tests.residency import routings  # noqa: E402

GROUP = "kimi-cpu-mixed-load"
STEP = 64 << 20  # bytes by which the limit is lowered at a time
STEP_S = 2.0
PAUSE_S = 1.0  # between samples, for a time that does not count
LOWERED = "lowered limit"


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--share", type=int, default=25, help="percent of the experts that fit")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.file, args.worker, args.threads)
        return
    budget = budget_of(args.file, args.share)
    lines = watched(args, budget)
    print("\n".join(lines))
    if args.write:
        title = f"Within its budget: {args.minutes:.0f} minutes of mixed load, {args.file.stat().st_size / 1e9:.1f} GB"
        put_part(RESULTS, "A file that is larger than the memory", title, [*card(), "", *lines])


def watched(args: argparse.Namespace, budget: int) -> list[str]:
    """Lines on the most memory that was taken in each phase."""
    command = [sys.executable, __file__, str(args.file), "--worker", str(budget)]
    command += [] if args.threads is None else ["--threads", str(args.threads)]
    forget(args.file)
    most: dict[str, Counter[str]] = {}
    with control_group(budget + ABOVE, GROUP) as group:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        group.add(process.pid)
        assert process.stdin is not None and process.stdout is not None
        phases = Phases(process.stdout)
        limit, seconds, sampled_s, lowered_s = Limit(group, budget), 0.0, time.monotonic(), 0.0
        print(f"budget {budget / 2**20:,.0f} MiB", flush=True)
        while process.poll() is None and seconds < 60 * args.minutes:
            time.sleep(SAMPLE_S)
            now_s = time.monotonic()
            seconds += now_s - sampled_s if now_s - sampled_s < PAUSE_S else 0.0
            sampled_s = now_s
            phase = phases.now
            if phase == LOWERED and now_s - lowered_s >= STEP_S:
                limit.lower()
                lowered_s = now_s
            elif phase != LOWERED:
                limit.reset()
            found = most.setdefault(phase, Counter())
            found |= Counter(held=held_bytes(process.pid), charge=group.charge())
            found["samples"] += 1
        died = process.poll()
        process.stdin.close()  # the end of the load
        process.wait()
    if died is not None:
        raise SystemExit(f"the engine ended with {died} in the phase: {phases.now}")
    return [
        f"Budget {budget / 2**20:,.0f} MiB, limit of the group 256 MiB more, lowered by up to "
        f"{limit.most / 2**20:,.0f} MiB; {seconds / 60:.1f} minutes, "
        f"{sum(count['samples'] for count in most.values()):,} samples; nothing was killed, exit code "
        f"{process.returncode}.",
        "",
        "| phase | samples | anonymous and locked, of the budget | charge of the group, of the budget |",
        "|---|---|---|---|",
        *(
            f"| {phase} | {count['samples']:,} | {count['held'] / budget:.1%} | {count['charge'] / budget:.1%} |"
            for phase, count in most.items()
        ),
    ]


class Phases:
    """What the engine says that it does: the last line of its output."""

    def __init__(self, output: IO[str]):
        self.now = "loading"
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self.now = line.strip()
            print(f"{time.strftime('%H:%M:%S')} {self.now}", flush=True)


class Limit:
    """The limit of a group, which is lowered by an eighth of the budget and raised again. most: the bytes by which it
    was lowered."""

    def __init__(self, group: Group, budget: int):
        names = "memory.high", "memory.limit_in_bytes"  # version 2 kills at memory.max what cannot shrink at once
        self._file = next(group.folder / name for name in names if (group.folder / name).exists())
        self._highest, self._lowest = budget + ABOVE, budget + ABOVE - budget // 8
        self._now, self.most = self._highest, 0

    def lower(self) -> None:
        """By a step; version 1 refuses one that the group does not fit into yet."""
        lower = max(self._now - STEP, self._lowest)
        with suppress(OSError):
            self._file.write_text(str(lower))
            self._now, self.most = lower, max(self.most, self._highest - lower)

    def reset(self) -> None:
        """As it was at first."""
        if self._now != self._highest:
            self._file.write_text(str(self._highest))
            self._now = self._highest


def held_bytes(pid: int) -> int:
    """Anonymous and locked memory of a process; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon", "VmLck")))


def work(path: Path, budget: int, threads: int | None) -> None:
    """In the group: one phase after the other, until stdin ends."""
    import kimi_cpu

    ended, numbers = threading.Event(), random.Random(0)
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with kimi_cpu.load(path, memory=budget, context=CONTEXT, threads=threads, speculate=False) as llm:
        impose(llm)

        def ask(num_prompt: int, count: int):
            prompt = [numbers.randrange(llm.config.vocab_size) for _ in range(num_prompt)]
            return llm.submit(prompt, max_tokens=count, temperature=0, ignore_eos=True)

        def cancelled() -> None:
            for _ in range(6):
                several = [ask(numbers.choice([8, 1500]), 200) for _ in range(3)]
                time.sleep(numbers.uniform(0.1, 3.0))
                for handle in several:
                    handle.cancel()

        def suspended() -> None:
            handle = ask(200, 16)
            time.sleep(numbers.uniform(0.5, 3.0))
            llm.suspend()
            time.sleep(2.0)
            llm.resume()
            handle.result()

        def until(seconds: float) -> None:
            started_s = time.monotonic()
            while time.monotonic() - started_s < seconds and not ended.is_set():
                answers([ask(8, 16) for _ in range(4)])

        def answers(handles: list) -> None:
            for handle in handles:
                handle.result()

        phases = {
            "prompt of 2,048 tokens": lambda: answers([ask(2048, 1)]),
            "one answer": lambda: answers([ask(8, 64)]),
            "16 answers": lambda: answers([ask(64, 24) for _ in range(16)]),
            "cancelled": cancelled,
            "changing domains": lambda: answers([ask(1000, 16) for _ in range(3)]),
            "suspended and resumed": suspended,
            LOWERED: lambda: until(30.0),
        }
        while not ended.is_set():
            for name, phase in phases.items():
                print(name, flush=True)
                phase()
                if ended.is_set():
                    break


def impose(llm) -> None:
    """K2-like routing, whose domain changes every 500 to 2,000 tokens."""
    config, model = llm.config, llm._thread._engine.model
    num_layers = len(model.weights.experts())
    chosen = routings.k2_like(20_000, num_layers, config.n_routed_experts, config.num_experts_per_tok)
    model._residency = Watched(model, chosen)


if __name__ == "__main__":
    main()
