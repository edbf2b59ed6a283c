"""Measures on this machine the numbers that only speed depends on (tuning.py), at K2's widths and beyond all caches.

Settings are taken one after the other. All candidates of one are timed in turn, some times over, so that a machine
whose speed changes changes it for all; a candidate must beat the default by a margin, in four rounds of five, to take
its place.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

from ..machine import usable_memory
from ..quant.rows16 import Matrix, packed_bytes
from . import reference, runtime
from .arrays import PAGE_TOKENS, Activation, Cache, Experts, cache_layer_bytes, make_activation, make_dispatch
from .entries.attention import num_splits
from .recorder import Program, Recorder
from .tuning import DEFAULT, SETTINGS, Tuning, stream_index

HIDDEN, WIDTH, HEADS_WIDTH = 7168, 2048, 8192  # of K2: the stream, an expert, all heads' values
HEADS, NOPE, ROPE, LATENT = 64, 128, 64, 512
MEMORY_BYTES = 256 << 20  # of weights: far more than any cache
LEAST_MEMORY = 2 << 30  # of a process, or measuring would be a burden
FILL = 0x3C  # a byte that makes scales, weights and caches numbers of ordinary size
ROUNDS = 5
MARGIN = 0.99  # of the default's time
SECONDS = 8.0  # of measurements: what is not begun by then keeps its default
QUIET = 0.75  # share of the CPUs that the search has when nothing else runs: threads sleep at the ends of regions

Load = Callable[["Tuner"], tuple[Program, object]]


class IdleTuner:
    """Tunes the kernels of the thread that calls it, one measurement a call, unless this machine was measured before
    with as many threads. One attempt: while others use the machine, nothing is kept."""

    def __init__(self):
        self._tuner: Tuner | None = None

    def __call__(self) -> bool:
        """Whether there is more to do."""
        if self._tuner is None:
            if runtime.tuning().measured or usable_memory() < LEAST_MEMORY:
                return False
            self._tuner = Tuner()
        return self._tuner.step()


class Tuner:
    """A search, step by step, by the thread whose kernels are tuned. Holds 256 MiB and little more."""

    def __init__(self):
        self._tuning = dict(DEFAULT.values)
        self._figures: list[dict[str, object]] = []
        self._memory = np.full(MEMORY_BYTES, FILL, np.uint8)
        self._before = runtime.context().copy()
        self._wall_s = self._cpu_s = 0.0  # that measurements took
        self.is_kept = False
        self._work = self._search()

    def step(self) -> bool:
        """One measurement, some 10 ms; whether there is more to do. After the last one the tuning is used, and kept
        when the search had the CPUs for itself."""
        return next(self._work, None) is not None

    def _search(self) -> Iterator[str]:
        for load, names in PLAN:
            program, arrays = load(self)
            for name in names:
                if self._wall_s < SECONDS:
                    yield from self._choose(name, program)
            del program, arrays
        self.is_kept = self._cpu_s >= QUIET * runtime.workers() * self._wall_s
        if self.is_kept:
            runtime.tuning_file().save(self._tuning, self._figures)
            runtime.tune(Tuning(self._tuning, measured=True))

    def _choose(self, name: str, program: Program) -> Iterator[str]:
        """Settles one setting."""
        default, candidates = SETTINGS[name]
        candidates = [value for value in candidates if _is_here(name, value)]
        times: dict[int, list[float]] = {value: [] for value in candidates}
        for turn in range(ROUNDS + 1):
            for value in candidates:
                seconds = self._seconds({name: value}, program)
                if turn:  # the first one pages in and warms up
                    times[value].append(seconds)
                yield name
        ratios = {v: sorted(a / b for a, b in zip(times[v], times[default], strict=True)) for v in candidates}
        kept = {v: those[3 * len(those) // 4] for v, those in ratios.items()}  # in most rounds: one may be a burst
        best = min(candidates, key=lambda v: kept[v])
        if kept[best] < MARGIN:
            self._tuning[name] = best
        shown = {str(v): round(1e3 * median(times[v]), 3) for v in candidates}
        self._figures.append({"name": name, "chosen": self._tuning[name], "ms": shown})

    def _seconds(self, values: dict[str, int], program: Program) -> float:
        """Time of a program under the tuning so far, with other values for some settings."""
        runtime.tune(Tuning(self._tuning | values, measured=False))
        try:
            begin, cpu = time.perf_counter(), time.process_time()
            program.run()
            seconds = time.perf_counter() - begin
        finally:
            runtime.context()[:] = self._before
        self._wall_s += seconds
        self._cpu_s += time.process_time() - cpu
        return seconds

    # what is timed, and the arrays that it has the addresses of; everything reads the same weights

    def linear(self, tokens: int, rows: int, cols: int, int8: bool = True) -> tuple[Program, object]:
        """Matrices of one shape, q8, as many as there is memory for."""
        size, k = packed_bytes("q8", rows, cols), Recorder()
        a, out = _inputs(tokens, cols, int8), np.zeros((tokens, rows), np.float32)
        for begin in range(0, MEMORY_BYTES - size, size) if tokens <= PAGE_TOKENS else (0,):
            k.linear((Matrix("q8", rows, cols, self._memory[begin : begin + size]),), a, (out,))
        return k.compile(), (a, out)

    def experts(self, tokens: int, top_k: int) -> tuple[Program, object]:
        """Gate, up and down of experts that share the tokens evenly."""
        gate, down = packed_bytes("int4", WIDTH, HIDDEN), packed_bytes("int4", HIDDEN, WIDTH)
        stride = 2 * gate + down
        count = MEMORY_BYTES // stride
        address = self._memory.ctypes.data + stride * np.arange(count)
        data = self._memory[: count * stride].reshape(count, stride)
        experts = Experts(("int4", "int4", "int4"), data, address, 0, gate, 2 * gate, WIDTH, HIDDEN)
        dispatch = make_dispatch(tokens, count, top_k)
        places = np.arange(tokens * top_k).reshape(tokens, top_k) % count
        dispatch.ids[:], dispatch.weights[:] = np.sort(places, axis=1), 1 / top_k
        reference.sort(dispatch)
        hidden, k = make_activation(tokens * top_k, WIDTH, True), Recorder()
        a, out = _inputs(tokens, HIDDEN, True), np.zeros((tokens, HIDDEN), np.float32)
        k.experts_gate_up(experts, a, dispatch, hidden)
        k.experts_down(experts, hidden, dispatch, out)
        return k.compile(), (a, hidden, out)

    def absorb(self) -> tuple[Program, object]:
        """The queries of one token, absorbed by many layers' matrices."""
        size, k = packed_bytes("q8", HEADS * NOPE, LATENT), Recorder()
        q, out = np.ones((1, HEADS, NOPE + ROPE), np.float32), np.zeros((1, HEADS, LATENT + ROPE), np.float32)
        angle = np.ones((1, ROPE // 2), np.float32)
        for begin in range(0, MEMORY_BYTES - size, size):
            k.absorb_queries(
                Matrix("q8", HEADS * NOPE, LATENT, self._memory[begin : begin + size]), q, angle, angle, out
            )
        return k.compile(), None

    def attend(self) -> tuple[Program, object]:
        """One token's attention over 4,096 others in an int8 cache, in some layers."""
        layer_bytes, layers, pages = cache_layer_bytes("int8", LATENT, ROPE), 16, 64
        cache = Cache("int8", self._memory, layers * layer_bytes, layer_bytes, LATENT, ROPE)
        tables, lens = np.arange(pages, dtype=np.int32).reshape(1, pages), np.array([pages * PAGE_TOKENS], np.int32)
        assert num_splits(lens) > 1 and layers * pages * layer_bytes <= MEMORY_BYTES
        q, out, k = np.ones((1, HEADS, LATENT + ROPE), np.float32), np.zeros((1, HEADS, LATENT), np.float32), Recorder()
        for layer in range(layers):
            k.attend_absorbed(q, cache, layer, tables, lens, 0.1, out)
        return k.compile(), cache


def _is_here(name: str, value: int) -> bool:
    """Whether this tier has what a setting names."""
    if not name.startswith("stream_") or name == "stream_bytes":
        return True
    return bool(runtime.library().addresses[stream_index(name.removeprefix("stream_"), value)])


def _inputs(tokens: int, cols: int, int8: bool) -> Activation:
    a = make_activation(tokens, cols, int8)
    a.x[:, :cols] = 1
    reference.quantize(a)
    return a


PLAN: tuple[tuple[Load, tuple[str, ...]], ...] = (  # what is timed, and the settings that it settles
    (lambda t: t.linear(1, HIDDEN, HEADS_WIDTH), ("ahead_q8_one", "stream_q8")),
    (lambda t: t.experts(1, 8), ("ahead_int4_one", "stream_int4", "stream_bytes", "streams", "prefetch_bytes")),
    (lambda t: t.absorb(), ("absorb_ahead",)),
    (lambda t: t.linear(4, HIDDEN, HEADS_WIDTH), ("ahead_q8_few",)),
    (lambda t: t.experts(10, 2), ("ahead_int4_few",)),
    (lambda t: t.experts(10, 6), ("ahead_int4_many", "streaming_tokens")),
    (lambda t: t.linear(16, HIDDEN, HEADS_WIDTH), ("ahead_q8_many",)),
    (lambda t: t.attend(), ("stagger",)),
    (lambda t: t.linear(512, WIDTH, HIDDEN), ("blocks_per_task", "chunk_bytes")),
    (lambda t: t.linear(1, HIDDEN, HEADS_WIDTH, int8=False), ("ahead_f32",)),
)
STEPS = sum((ROUNDS + 1) * len(SETTINGS[name].candidates) for _, names in PLAN for name in names)


def tune(progress: Callable[[int, int], None] | None = None) -> str | None:
    """Measures everything for the default number of threads. A sentence for a person when nothing is kept.

    progress(done, total) is called after each step. In a Python thread of its own, with which its OpenMP threads end.
    """
    if usable_memory() < LEAST_MEMORY:
        return "this process may use too little memory to tune the kernels; they run with fixed numbers."
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(_tune, progress).result()
    return (
        None if kept else "the machine was busy, so the kernels are not tuned; `kimi-cpu warmup --tune` does it later."
    )


def _tune(progress: Callable[[int, int], None] | None) -> bool:
    tuner, done = Tuner(), 0
    while tuner.step():
        done += 1
        if progress:
            progress(done, STEPS)
    return tuner.is_kept
