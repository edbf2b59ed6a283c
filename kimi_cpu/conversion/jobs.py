"""What a conversion consists of: a list of outputs, cut into units that have a hash, cut into parts that are packed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..machine import usable_cores
from ..modelfile import TensorSpec

MAX_JOBS = 32  # of up to 40 MiB each (native.CHUNK_VALUES in f32, and what becomes of it); they hash 30 GB/s


class Origin(NamedTuple):
    """Rows of a packed matrix: packed kind, module of the checkpoint, its row for each row (-1: a row of zeros)."""

    kind: str
    module: str
    rows: np.ndarray | range

    @property
    def span(self) -> tuple[int, int]:
        """(first, one past the last) of the checkpoint's rows."""
        if isinstance(self.rows, range):
            return self.rows.start, self.rows.stop
        used = self.rows[self.rows >= 0]
        return int(used.min(initial=0)), int(used.max(initial=-1)) + 1


class Part(NamedTuple):
    """Bytes that one call makes. offset counts from the unit's first byte."""

    offset: int
    nbytes: int
    pack: Callable[[], np.ndarray]  # -> u8[nbytes]; CheckpointError for what cannot be packed
    origin: Origin | str | None = None  # where the values come from; str: a tensor kept as it is


@dataclass
class Unit:
    """Bytes with a SHA-256 of their own: a tensor, or one expert. Its parts follow one another; gaps are zeros."""

    name: str  # for progress and errors
    offset: int  # from the tensor's first byte
    nbytes: int
    make_parts: Callable[[], Iterable[Part]]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Made when they are needed: K2 has half a million, and its sizes are known without them."""
        return tuple(self.make_parts())


class Output(NamedTuple):
    """One tensor of the file and the units that fill it."""

    spec: TensorSpec
    units: tuple[Unit, ...]


class Plan(NamedTuple):
    """A whole file. The last tensor, the hashes, is the driver's."""

    architecture: str
    metadata: dict[str, Any]
    outputs: list[Output]
    warnings: list[str]  # may grow while the parts are packed


def whole(spec: TensorSpec, parts: Iterable[Part]) -> Output:
    """An output that is one unit."""
    return Output(spec, (Unit(spec.name, 0, spec.nbytes, lambda: parts),))


def constant(name: str, data: bytes) -> Output:
    """An I8 tensor whose bytes are known."""
    array = np.frombuffer(data, np.uint8)
    return whole(TensorSpec(name, "I8", (len(data),), len(data)), [Part(0, len(data), lambda: array)])


def num_jobs(asked: int | None) -> int:
    """Threads: by default one a physical core that this process may use. ConfigError: fewer than one was asked for."""
    if asked is not None and asked < 1:
        raise ConfigError(f"jobs is {asked}; it must be 1 or more.")
    return min(asked or usable_cores(), MAX_JOBS)
