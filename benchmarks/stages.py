"""A model in stages beside the same in one process: throughput of groups in flight, a lone answer, a lone prompt.

    python benchmarks/stages.py ../slice/even/native.gguf --write
    sudo python -m tools.hosts.stages ../slice/even/native.gguf --delay-ms 1 --network-gb 1    on two hosts of their own

One process runs the groups in turn, as the stages do, on all cores; each stage has its part of them, one thread at
least. Both are loaded, and measured in turn.
"""

import argparse
import math
import queue
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import card, put_part, spread

from kimi_cpu.cluster import LOCAL, connected, load_stages, stage_loop, staging
from kimi_cpu.cluster.stage import StageActor, said
from kimi_cpu.cluster.stage_group import StageGroup
from kimi_cpu.cluster.stage_loop import Outlet
from kimi_cpu.cluster.staged_model import StagedModel
from kimi_cpu.kernels import runtime
from kimi_cpu.llm import LLM
from kimi_cpu.llm.loading import Loaded, engine_of, make_part, prepare_thread
from kimi_cpu.llm.options import LoadOptions, Progress, options_of
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.plan.pipeline import Network, Pipeline, Request

GROUP = 4  # sequences
PROMPT, LONG = 24, 2048  # tokens
WINDOWS = 10  # of the time over which a stage's occupancy is shown
RESULTS = Path(__file__).with_name("results-stages.md")


class Spans(NamedTuple):
    """When a stage computed: begins and ends, seconds of the system's monotonic clock."""

    begins: list[float]
    ends: list[float]


class Later:
    """Calls functions in their order, each so many seconds after it was given."""

    def __init__(self, seconds: float):
        self._seconds, self._due = seconds, queue.SimpleQueue[tuple[float, Callable[[], object]]]()
        threading.Thread(target=self._run, daemon=True).start()

    def __call__(self, function: Callable[[], object]) -> None:
        self._due.put((time.perf_counter() + self._seconds, function))

    def _run(self) -> None:
        while True:
            due_s, function = self._due.get()
            time.sleep(max(0.0, due_s - time.perf_counter()))
            function()


def stage_of(delay_s: float) -> type[StageActor]:
    """A stage that notes when it computes, and whose messages take so much longer."""

    class DelayedOutlet(Outlet):
        def __init__(self, *args: Any):
            super().__init__(*args)
            self._later = Later(delay_s)

        def put(self, head: bytes, body: np.ndarray) -> None:
            self._later(partial(super().put, head, body))

    class Watched(StageActor):
        def load(self, begin: int, end: int, common: Mapping[str, int], host: str, key: bytes) -> bytes:
            loaded, self._noted = super().load(begin, end, common, host, key), Spans([], [])
            assert self._model is not None, "it is loaded"
            model, forward = self._model.model, self._model.model.forward

            def noting(*args: Any) -> Any:
                self._noted.begins.append(time.monotonic())
                result = forward(*args)
                self._noted.ends.append(time.monotonic())
                return result

            model.forward = noting
            if delay_s:
                stage_loop.Outlet = DelayedOutlet
            return loaded

        def spans(self) -> bytes:
            """Those since the last time."""
            noted, self._noted = self._noted, Spans([], [])
            return said(lambda: noted)

    return Watched


def delay_driver(seconds: float) -> None:
    """Has what the driver sends take so much longer."""
    later, send = Later(seconds), StagedModel.send
    StagedModel.send = lambda self, message: later(partial(send, self, message))


@contextmanager
def in_stages(options: argparse.Namespace, **loading: Any) -> Iterator[tuple[LLM, StageGroup]]:
    """The model in stages, and these."""
    groups: list[StageGroup] = []

    class Group(StageGroup):
        actor = stage_of(1e-3 * options.delay_ms)

        def __init__(self, *args: Any):
            super().__init__(*args)
            groups.append(self)

    staging.StageGroup = Group
    with (
        connected(options.ray, print, options.stages),
        load_stages(options.model, options.stages, print, **loading) as llm,
    ):
        yield llm, groups[0]


def in_one_process(path: Path, num_groups: int, **loading: Any) -> LLM:
    """The model in this process, where as many groups take turns."""

    def make(file: ModelFile, options: LoadOptions, progress: Progress | None) -> Loaded:
        part = make_part(file, file.config.layers, options, progress)
        part.model.depth = num_groups
        engine, prepare = engine_of(part.model, file, options, runtime.isa().name), partial(prepare_thread, options)
        return Loaded(engine, part.model, part.weights, part.shares.context, part.needs, part.notices, prepare)

    return LLM(path, options_of(loading), None, make)


def prompts(llm: LLM, count: int, length: int, seed: int) -> list[list[int]]:
    """So many of random ids."""
    draw = random.Random(seed)
    return [[draw.randrange(256, llm.config.vocab_size - 512) for _ in range(length)] for _ in range(count)]


def seconds(llm: LLM, asked: Sequence[list[int]], max_tokens: int) -> float:
    """The time of greedy answers that run together."""
    started_s = time.perf_counter()
    handles = [llm.submit(ids, max_tokens=max_tokens, temperature=0, ignore_eos=True) for ids in asked]
    for handle in handles:
        handle.result()
    return time.perf_counter() - started_s


def generation(llm: LLM, num_sequences: int, max_tokens: int) -> float:
    """Tokens a second of sequences that run together, without their prompts."""
    asked = prompts(llm, num_sequences, PROMPT, num_sequences)
    short = seconds(llm, asked, 4) and seconds(llm, asked, 4)  # the second time without prompts
    return num_sequences * (max_tokens - 4) / (seconds(llm, asked, max_tokens) - short)


def prefill(llm: LLM, seed: int) -> float:
    """Tokens a second of a lone prompt."""
    return LONG / seconds(llm, prompts(llm, 1, LONG, seed), 1)


def occupancy(spans: Sequence[Mapping[str, list[float]]]) -> list[list[float]]:
    """The share of each window of time in which each stage computed."""
    begin = max(own["begins"][0] for own in spans)
    end = min(own["ends"][-1] for own in spans)
    edges = np.linspace(begin, end, WINDOWS + 1)
    found = []
    for own in spans:
        begins, ends = np.array(own["begins"][: len(own["ends"])]), np.array(own["ends"])
        overlaps = (
            np.clip(np.minimum(ends, after) - np.maximum(begins, before), 0, None).sum() / (after - before)
            for before, after in zip(edges, edges[1:], strict=False)
        )
        found.append([float(share) for share in overlaps])
    return found


def simulated(spans: Sequence[Mapping[str, list[float]]], hop_s: float, row_bytes: int, rate: float) -> float:
    """Tokens a second that plan's simulation gives for the groups. spans: of the stages, whose median each step takes;
    hop_s: of one row; rate: bytes a second of the network."""
    steps_s = [statistics.median(np.array(own["ends"]) - own["begins"][: len(own["ends"])]) for own in spans]
    depth = len(spans) + 1
    network = Network(max(0.0, hop_s - row_bytes / rate), rate)
    pipeline = Pipeline([lambda work, s=s: float(s) for s in steps_s], network, row_bytes)
    requests = [Request(0.0, PROMPT, 10**9, computed=PROMPT)] * (depth * GROUP)
    return pipeline.simulate(requests, depth, depth * GROUP, 1000 * sum(steps_s)).rate


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--stages", type=int, default=3, metavar="K")
    parser.add_argument("--ray", default=LOCAL, metavar="ADDRESS")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="that each message takes longer")
    parser.add_argument("--network-gb", type=float, default=math.inf, help="10^9 bits a second between the stages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--prompts", action="store_true", help="measure lone prompts as well")
    parser.add_argument("--write", action="store_true", help=f"put the table into {RESULTS.name}")
    options = parser.parse_args()
    if options.delay_ms:
        delay_driver(1e-3 * options.delay_ms)
    num_groups, loading = options.stages + 1, {"context": 4096, "speculate": False, "read_ahead": False}
    rows = {
        f"{num_groups} groups of {GROUP}": partial(
            generation, num_sequences=num_groups * GROUP, max_tokens=options.tokens
        ),
        "one answer": partial(generation, num_sequences=1, max_tokens=options.tokens),
    }
    figures: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in rows}
    shares, spans, row_bytes = list[list[float]](), list[Mapping[str, list[float]]](), 0
    with in_one_process(options.model, num_groups, **loading) as whole, in_stages(options, **loading) as (llm, group):
        for _ in range(options.rounds):
            for name, measure in rows.items():
                group.ask("spans")
                for model, found in zip((whole, llm), figures[name], strict=True):
                    found.append(measure(model, max_tokens=options.tokens))
                if name != "one answer":
                    spans = group.ask("spans")
                    shares = occupancy(spans)
        row_bytes = 4 * llm.config.hidden_size
        if options.prompts:
            figures[f"prompt of {LONG}"] = [prefill(whole, 1)], [prefill(llm, 1)]
    lines = ["| tokens a second | one process | in stages | ratio |", "|---|---:|---:|---:|"]
    for name, (one, staged) in figures.items():
        ratio = statistics.median(b / a for a, b in zip(one, staged, strict=True))
        lines.append(f"| {name} | {spread(one)} | {spread(staged)} | {ratio:.2f} |")
    one, staged = (statistics.median(1e3 / rate for rate in found) for found in figures["one answer"])
    hop_ms = (staged - one) / num_groups
    lines += [
        "",
        f"A lone answer's token takes {staged - one:.2f} ms more, {hop_ms:.2f} a hop (driver, stages, driver).",
    ]
    rate = simulated(spans, 1e-3 * hop_ms, row_bytes, options.network_gb * 1e9 / 8)
    measured = next(iter(figures.values()))[1][-1]
    lines += [
        "",
        f"The simulation of plan, with stages that take as long for a step and such hops, gives {rate:.1f} tokens a "
        f"second for the groups in the last round, {rate / measured:.2f} of the {measured:.1f} measured.",
    ]
    lines += ["", "Share of the time that a stage computes, in tenths of a run of the groups:", ""]
    lines += [f"- stage {n + 1}: {' '.join(f'{share:.2f}' for share in own)}" for n, own in enumerate(shares)]
    print("\n".join(lines))
    if options.write:
        delay = f", {options.delay_ms:g} ms of delay" if options.delay_ms else ""
        network = f", {options.network_gb:g} Gb/s" if options.network_gb < math.inf else ""
        title = f"{options.stages} stages, {options.model.name}{network}{delay}"
        put_part(RESULTS, "A model in stages", title, [*lines, "", *card(("numpy", "numba", "ray"))])


if __name__ == "__main__":
    main()
