"""A model file to be: its tensors, cut into units that have a hash, cut into parts that are packed, and their places.

Workers, threads of one conversion or comparison, take units and pack their parts. ReadAhead has the system read what
the next parts are packed from, DropBehind gives the memory of earlier ones back.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..machine import usable_cores
from ..modelfile import HASHES, TensorSpec, hash_rows, header_bytes
from ..modelfile.layout import ARCHITECTURE
from .source import Source

MAX_WORKERS = 32  # of up to 40 MiB each (native.CHUNK_VALUES in f32, and what becomes of it); they hash 30 GB/s
GIVE_BACK_BYTES = 256 << 20  # packed between two times that memory is given back


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
    """Bytes that one call packs. offset counts from the unit's first byte."""

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


class NewTensor(NamedTuple):
    """One tensor of the file and the units that fill it."""

    spec: TensorSpec
    units: tuple[Unit, ...]


class Blueprint(NamedTuple):
    """A whole file, but for its last tensor, the hashes, which the driver knows when all others are packed."""

    architecture: str
    metadata: dict[str, Any]
    tensors: list[NewTensor]
    warnings: list[str]  # may grow while the parts are packed


def whole(spec: TensorSpec, parts: Iterable[Part]) -> NewTensor:
    """A tensor that is one unit."""
    return NewTensor(spec, (Unit(spec.name, 0, spec.nbytes, lambda: parts),))


def constant(name: str, data: bytes) -> NewTensor:
    """An I8 tensor whose bytes are known."""
    array = np.frombuffer(data, np.uint8)
    return whole(TensorSpec(name, "I8", (len(data),), len(data)), [Part(0, len(data), lambda: array)])


class Placement(NamedTuple):
    """head: all bytes before the first tensor. offsets: of each tensor, in bytes. hashed: the last tensor, which the
    blueprint does not have, holds the SHA-256s of the others."""

    head: bytes
    tensors: list[NewTensor]
    offsets: list[int]
    hashed: bool

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.offsets[-1] + self.tensors[-1].spec.nbytes


def place(blueprint: Blueprint) -> Placement:
    """Header and offsets of the file of a blueprint."""
    hashed = blueprint.architecture == ARCHITECTURE  # llama.cpp refuses tensors that it does not know
    tensors = [*blueprint.tensors, _hashes(blueprint.tensors)] if hashed else blueprint.tensors
    head, offsets = header_bytes(blueprint.architecture, blueprint.metadata, [tensor.spec for tensor in tensors])
    return Placement(head, tensors, offsets, hashed)


def _hashes(tensors: list[NewTensor]) -> NewTensor:
    num_rows = len(hash_rows((t.spec.name, t.spec.shape) for t in tensors)) + 1
    return NewTensor(TensorSpec(HASHES, "I8", (num_rows, 32), 32 * num_rows), ())


def num_workers(jobs: int | None) -> int:
    """Threads: `jobs`, by default one a physical core that this process may use. ConfigError: jobs is below 1."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs is {jobs}; it must be 1 or more.")
    return min(jobs or usable_cores(), MAX_WORKERS)


class ReadAhead:
    """Asks the system for the parts that are next while others are packed, for several threads."""

    def __init__(self, source: Source, parts: list[Part], distance: int):
        """parts: in the order in which they are packed. distance: how many are asked for ahead of the one that is."""
        self._source, self._parts, self._distance = source, parts, distance
        self._next = 0
        self._lock = threading.Lock()

    def at(self, index: int) -> None:
        """Part `index` is packed now."""
        with self._lock:
            begin, end = max(self._next, index), min(index + 1 + self._distance, len(self._parts))
            self._next = max(begin, end)
        for part in self._parts[begin:end]:
            if isinstance(part.origin, Origin):
                self._source.prefetch(part.origin.module, *part.origin.span)


class DropBehind:
    """Gives back the memory that reading a source has filled, for several threads: it would stay mapped, and cached,
    until all memory is full of it."""

    def __init__(self, source: Source):
        self._source = source
        self._origins: list[Origin] = []
        self._nbytes = 0
        self._lock = threading.Lock()

    def done(self, part: Part) -> None:
        """A part is packed: what it was made from is not read again soon."""
        if not isinstance(part.origin, Origin):
            return
        with self._lock:
            self._origins.append(part.origin)
            self._nbytes += part.nbytes
            if self._nbytes < GIVE_BACK_BYTES:
                return
            origins, self._origins, self._nbytes = self._origins, [], 0
        self._source.give_back([(origin.module, *origin.span) for origin in origins])
