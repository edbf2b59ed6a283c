"""An agent of hundreds of forced calls, step by step: what each step computes, how long it takes, and its memory.

    python benchmarks/agent.py [--steps 300] [--bundled-steps 50] [--write]

The first model has random weights, a tokenizer of bytes and 262,144 tokens of context, so that 300 steps fit; the
second is the bundled one, whose 8,192 tokens hold 50. Each call is forced by tool_choice; the run has a journal, so
that what a step computed is on the disk before the next. A step's time is split: forward passes, of which attention
grows with the chat, and the rest (rendering, encoding, finding pages, sampling, parsing, the call, the journal, the
session). Memory is what the process has beyond the pages of the cache, and apart from the partial results of attention,
which have a column of their own; another process then goes on with the run, and has what a chat of this length takes.
--write puts the tables in results-agent.md.
"""

import argparse
import ctypes
import mmap
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from machine import anonymous_bytes, card, put_part

import kimi_cpu
from kimi_cpu.agent import Agent, Watch
from kimi_cpu.kernels.runtime import scratch
from kimi_cpu.machine import bound_heap

sys.path.append(str(Path(__file__).parents[1]))
from tests import tiny
from tools import make_byte_tokenizer

HERE = Path(__file__).parent
RESULTS = HERE / "results-agent.md"
CONTEXT = 262_144
PAGE = 64
AROUND = 5  # steps on each side whose median a row of the table is
MORE = 6  # steps of the process that goes on; the first is the one that answered
COLUMNS = ("step", "prompt", "computed", "generated", "forward", "rest", "attention", "memory")  # of a step
SMALL = {
    "max_position_embeddings": CONTEXT,
    "vocab_size": 512,
    "rope_scaling": tiny.YARN | {"original_max_position_embeddings": 4096},
}


class Steps(Watch):
    """Measures each step: from its prompt to its call's result."""

    def __init__(self, llm: kimi_cpu.LLM, steps: int):
        self._llm, self._began, self._forward_s = llm, time.perf_counter(), 0.0
        self._cache = llm._thread.call(lambda engine: engine.cache.pages.view.data)
        self._numbers, self._count = np.ones((steps, len(COLUMNS))), 0  # in memory from the first step on
        self._resident = np.ones(self._cache.nbytes // mmap.PAGESIZE + 1, np.uint8)  # as well
        llm._thread.call(lambda engine: setattr(engine.model, "submit", self._timed(engine.model.submit)))

    @property
    def rows(self) -> list[dict[str, float]]:
        """Each step by the names of COLUMNS."""
        return [dict(zip(COLUMNS, numbers, strict=True)) for numbers in self._numbers[: self._count].tolist()]

    def record(self, record: object) -> None:
        """A step ends with its result on the disk."""
        if record.kind == "answered":
            self._answered = record
        elif record.kind == "returned":
            seconds, turn = time.perf_counter() - self._began, self._answered
            attention = self._llm._thread.call(lambda engine: len(scratch("partial", 0)))
            self._numbers[self._count] = (
                turn.step,
                turn.prompt_tokens,
                turn.prompt_tokens - turn.cached_tokens,
                turn.completion_tokens,
                self._forward_s,
                seconds - self._forward_s,
                attention,
                anonymous_bytes(os.getpid()) - self._cache_bytes() - attention,
            )
            self._count += 1
            self._began, self._forward_s = time.perf_counter(), 0.0  # looking at the memory is no part of a step

    def _timed(self, submit: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object) -> object:
            began = time.perf_counter()
            try:
                return submit(*args)
            finally:
                self._forward_s += time.perf_counter() - began

        return timed

    def _cache_bytes(self) -> int:
        """Bytes of the cache that are in memory."""
        address = self._cache.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
        where = (ctypes.c_void_p(address), ctypes.c_size_t(self._cache.nbytes))
        assert ctypes.CDLL(None).mincore(*where, ctypes.c_void_p(self._resident.ctypes.data)) == 0
        np.bitwise_and(self._resident, 1, out=self._resident)
        return mmap.PAGESIZE * int(self._resident.sum(dtype=np.int64))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--bundled-steps", type=int, default=50)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="kimi-cpu-agent-") as name:
        folder = Path(name)
        small = folder / "small.gguf"
        tiny.make(folder / "hf", **SMALL)
        make_byte_tokenizer.main(folder / "hf")
        kimi_cpu.convert(folder / "hf", small)
        title = f"{CONTEXT:,} tokens of context, random weights, {args.steps} calls"
        put(args, title, measured(small, args.steps, folder / "small.jsonl"))
        title = f"The bundled model, {args.bundled_steps} calls"
        put(args, title, measured(None, args.bundled_steps, folder / "bundled.jsonl"))


def measured(model: Path | None, steps: int, journal: Path) -> list[str]:
    """The table of one run, and whether it kept its promises."""
    rows = in_process(rows_of, model, steps, journal, "Note some days.")
    assert len(rows) == steps
    known, most = 0, 0
    for row in rows:
        most = max(most, row["computed"] - (row["prompt"] - known))
        known = row["prompt"] + row["generated"]
    table = [
        "| step | prompt | computed | generated | forward passes ms | the rest ms | attention MiB | the rest MiB |",
        "|---:|" + "---:|" * 7,
    ]
    for step in sorted({n for n in (10, 50, 100, 200, 300, steps) if n <= steps}):
        near = [row for row in rows if abs(row["step"] - step) <= AROUND]
        ms = [1000 * median(row[name] for row in near) for name in ("forward", "rest")]
        row = rows[step - 1]
        numbers = f"{row['prompt']:,.0f} | {row['computed']:.0f} | {row['generated']:.0f} | {ms[0]:.1f} | {ms[1]:.1f}"
        mib = [row[name] / 2**20 for name in ("attention", "memory")]
        table.append(f"| {step} | {numbers} | {mib[0]:.1f} | {mib[1]:.1f} |")
    journal_bytes, session_bytes = journal.stat().st_size, journal.with_name(journal.name + ".session").stat().st_size
    more = in_process(rows_of, model, steps + MORE, journal, "Note some more days.")
    said = [
        f"No step computed more than {most:.0f} tokens beyond its new ones (a page has {PAGE}).",
        f"The journal has {journal_bytes:,} bytes, the session {session_bytes:,}.",
        f"Another process that goes on after step {steps} has {more[-1]['memory'] / 2**20:.1f} MiB besides.",
    ]
    return [f"Written by benchmarks/agent.py. {' '.join(said)}", "", *card(), "", *table]


def in_process(function: Callable[..., list[dict[str, float]]], *args: object) -> list[dict[str, float]]:
    """The result of a function in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def rows_of(model: Path | None, steps: int, journal: Path, task: str) -> list[dict[str, float]]:
    """The steps of a run, or of what is left of it."""
    count = 0

    def note(days: int) -> str:
        """Write a note."""
        nonlocal count
        count += 1
        return f"Note {count} is written."

    forced = {"tool_choice": {"type": "function", "function": {"name": "note"}}, "parallel_tool_calls": False}
    bound_heap()  # as the command does
    with kimi_cpu.load(model, parallel=1) as llm:
        watch = Steps(llm, steps)
        agent = Agent(llm, [note], max_steps=steps, no_think=True, max_tokens=60, temperature=0, **forced)
        agent.run(task, resume=journal, watch=watch)
    return watch.rows


def put(args: argparse.Namespace, title: str, text: list[str]) -> None:
    """Prints a part; with --write it goes into the file of results as well."""
    print(f"\n{title}\n", *text, sep="\n", flush=True)
    if args.write:
        put_part(RESULTS, "Agents, step by step", title, text)


if __name__ == "__main__":
    main()
