"""The numbers that only speed depends on: how early weights are asked for, and how work is cut.

What is best depends on the machine, so `tuner` measures it there. A Tuning is words of every entry's context; no bit of
any result depends on them.
"""

import json
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .codegen.code_cache import CodeCache
from .micro import AHEAD, INDEX, SIZE, TILES
from .micro.matmul import INT8_KINDS, STREAMS, tile_name

FEW = 4  # tokens of a tile, at most, that is called few


class Setting(NamedTuple):
    """default: where nothing was measured. candidates: what is tried."""

    default: int
    candidates: tuple[int, ...]


DISTANCES = (0, 512, 1024, 2048, 4096, 8192, 16384)  # bytes; 0 asks for what is read at the same moment
SETTINGS = {
    # Bytes ahead of their use at which a tile of one token, of 2 to 4, or of more asks for weights.
    "ahead_int4_one": Setting(2048, DISTANCES),
    "ahead_int4_few": Setting(4096, DISTANCES),
    "ahead_int4_many": Setting(8192, DISTANCES),
    "ahead_q8_one": Setting(2048, DISTANCES),
    "ahead_q8_few": Setting(4096, DISTANCES),
    "ahead_q8_many": Setting(8192, DISTANCES),
    "ahead_f32": Setting(4096, DISTANCES),  # tiles of float32 activations, of any number of tokens
    # The way in which a tile of one token reads: a place in micro.matmul.STREAMS.
    "stream_int4": Setting(0, tuple(range(len(STREAMS)))),
    "stream_q8": Setting(0, tuple(range(len(STREAMS)))),
    # Few tokens, which wait for memory.
    "streaming_tokens": Setting(4, (2, 4, 8, 16)),  # of a matrix or an expert, at most
    "stream_bytes": Setting(1 << 16, (1 << 14, 1 << 16, 1 << 18)),  # weights of a task, at least
    "streams": Setting(8, (1, 2, 4, 8)),  # groups of 32 rows of gate that are read before those of up
    "prefetch_bytes": Setting(2048, (0, 1024, 2048, 4096, 8192)),  # of the next stream, asked for at its beginning
    "absorb_ahead": Setting(2, (0, 1, 2, 4)),  # row blocks ahead at which `absorb_queries` asks for weights
    # More tokens, which wait for the multipliers.
    "blocks_per_task": Setting(4, (2, 4, 8)),  # row blocks, at most: more push the activations out of the cache
    "chunk_bytes": Setting(400_000, (200_000, 400_000, 800_000)),  # of activations that stay beside the weights
    # Attention on an int8 cache.
    "stagger": Setting(1, (0, 1)),  # whether threads begin at different splits of a sequence
}


class Tuning(NamedTuple):
    """A value for each of SETTINGS. measured: whether it is this machine's."""

    values: dict[str, int]
    measured: bool

    def apply(self, context: np.ndarray, addresses: np.ndarray) -> None:
        """Writes it into an entries' context, whose tier has its micro-kernels at these addresses."""
        for i, tile in enumerate(TILES):
            context[AHEAD + i] = self.values[_distance_of(tile)]
        for name, index in SIZE.items():
            context[index] = self.values[name]
        for kind in INT8_KINDS:
            tile = INDEX[tile_name(kind, True, 1)]
            context[tile] = addresses[stream_index(kind, self.values[f"stream_{kind}"])] or addresses[tile]


def stream_index(kind: str, way: int) -> int:
    """The micro-kernel that reads in a way, a place in STREAMS."""
    return INDEX[STREAMS[way].name(kind) if way else tile_name(kind, True, 1)]


def _distance_of(tile: str) -> str:
    """The setting that says how early a tile asks for its weights."""
    _, kind, compute, tokens = tile.split("_")
    if compute == "f32":
        return "ahead_f32"
    size = "one" if tokens == "1" else "few" if int(tokens) <= FEW else "many"
    return f"ahead_{kind}_{size}"


DEFAULT = Tuning({name: setting.default for name, setting in SETTINGS.items()}, measured=False)


class TuningFile:
    """The measured values of a tier and a number of threads, kept beside the compiled kernels."""

    def __init__(self, cache: CodeCache, tier: str, threads: int):
        self._path = None if cache.folder is None else cache.folder / f"tuning-{tier}-{threads}.json"

    def load(self) -> Tuning:
        """What was measured on this machine; DEFAULT when nothing was, or it cannot be read.

        Values of another number of threads are better than the default, but count as not measured.
        """
        if self._path is None:
            return DEFAULT
        if (values := _read(self._path)) is not None:
            return Tuning(values, measured=True)
        others = sorted(self._path.parent.glob(f"{self._path.stem.rpartition('-')[0]}-*.json"))
        found = [values for path in others if (values := _read(path)) is not None]
        return Tuning(found[-1], measured=False) if found else DEFAULT

    def save(self, values: dict[str, int], figures: Iterable[dict[str, object]]) -> None:
        """Keeps values, and the figures that they were chosen by. Where nothing can be written, nothing is kept."""
        if self._path is None:
            return
        record = {"cpu": cpu_model(), "values": values, "measured": list(figures)}
        partial = self._path.with_suffix(".partial")
        with suppress(OSError):
            partial.write_text(json.dumps(record, indent=1))
            partial.replace(self._path)


def _read(path: Path) -> dict[str, int] | None:
    """The values in a file; None: there are none, another machine's, or unknown ones."""
    try:
        record = json.loads(path.read_text())
        values = {name: int(record["values"][name]) for name in SETTINGS}
        is_ours = record["cpu"] == cpu_model()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    known = all(0 <= value <= max(SETTINGS[name].candidates) for name, value in values.items())
    return values if known and is_ours else None


def cpu_model() -> str:
    """The name that this machine's CPU gives itself."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
