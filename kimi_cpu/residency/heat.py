"""How often each routed expert is used: counted while a model runs, and kept in a file.

File: JSON, {"format": "kimi-cpu experts", "version": 1, "model": the hash of its weights in hex, "layers": {"1": [a
count for each expert], …}}, with the layers that have experts. A count is of tokens.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..files import read_regular, replacing
from ..kernels import Dispatch
from .experts import ResidentExperts

FORMAT, VERSION = "kimi-cpu experts", 1
MAX_BYTES = 64 << 20  # of a file; K2's have a quarter of a MB
MOST = 1 << 53  # tokens; a program that reads numbers as doubles keeps those below exactly


class ExpertUses:
    """Counts how many tokens use each expert, where the experts come to memory, or would come if they were not there.

    counts: i64[layers, experts]."""

    def __init__(self, num_layers: int, num_experts: int, residency: ResidentExperts | None):
        """residency: None when all experts are in memory."""
        self.counts = np.zeros((num_layers, num_experts), np.int64)
        self._residency = residency

    def arrivals(self, layer: int, dispatch: Dispatch, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """See model.Residency."""
        num_active = int(dispatch.num_active[0])
        self.counts[layer, dispatch.active[:num_active]] += np.diff(dispatch.first[: num_active + 1])
        if self._residency is None:
            yield np.arange(num_active), num_active
        else:
            yield from self._residency.arrivals(layer, dispatch, stop)


@dataclass(frozen=True)
class Heat:
    """Counts i64[layers, experts] of a model, rows of zeros for layers without experts. model: its hash, in hex."""

    model: str
    counts: np.ndarray

    @property
    def layers(self) -> list[int]:
        """The layers that have experts."""
        return np.flatnonzero(self.counts.any(axis=1)).tolist()

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all. ConfigError: another file stands there, or none can be written.
        OSError."""
        if path.exists() and path.stat().st_size:
            load(path)  # nothing else is written over
        layers = {str(layer): self.counts[layer].tolist() for layer in self.layers}
        document = {"format": FORMAT, "version": VERSION, "model": self.model, "layers": layers}
        with replacing(path) as file:
            file.write(json.dumps(document).encode() + b"\n")


def load(path: Path) -> Heat:
    """The counts of a file. ConfigError: it holds none. OSError."""
    document: Any
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        is_known = document["format"] == FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        document, is_known = {}, False
    if not is_known:
        raise ConfigError(f"{path} holds no counts of experts; `kimi-cpu experts record` makes such a file.")
    if document.get("version") != VERSION:
        version = str(document.get("version"))[:20]
        raise ConfigError(f"{path} has version {version} of counts, this program knows {VERSION}; record it again.")
    layers = document.get("layers")
    if not isinstance(document.get("model"), str) or not _are_counts(layers):
        raise ConfigError(f"{path} is damaged: its counts are no numbers, as many for each layer; record it again.")
    numbers = {int(layer): row for layer, row in layers.items()}
    counts = np.zeros((max(numbers) + 1, len(next(iter(numbers.values())))), np.int64)
    for layer, row in numbers.items():
        counts[layer] = row
    return Heat(document["model"], counts)


def _are_counts(layers: Any) -> bool:
    """Whether this is a table {number of a layer: counts}, of layers with as many experts."""
    if not isinstance(layers, dict) or not layers:
        return False
    rows = list(layers.values())
    return (
        all(layer.isdecimal() and len(layer) < 5 for layer in layers)
        and all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)
        and all(type(count) is int and 0 <= count < MOST for row in rows for count in row)
    )
