"""How much each routed expert is used: counted while a model runs, or of late, and kept in a file.

File: JSON, {"format": "kimi-cpu experts", "version": 1, "model": the hash of its weights in hex, "layers": {"1": [a
number for each expert], …}}, with the layers that have experts. A number is a count of tokens, or of the heat that a
model leaves behind, in $XDG_STATE_HOME/kimi-cpu/heat, the part of the last tokens that used the expert.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..files import private_directory, read_regular, replacing, user_folder
from ..kernels import Dispatch
from ..modelfile import ModelFile
from .experts import ResidentExperts, largest

HEAT, PINNED = "heat", "pinned"  # folders
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
    """Counts i64[layers, experts] of a model, or parts f64, rows of zeros for layers without experts. model: its hash,
    in hex."""

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
        layers = {str(layer): [_short(count) for count in self.counts[layer].tolist()] for layer in self.layers}
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
    dtype = np.int64 if all(type(count) is int for row in layers.values() for count in row) else np.float64
    counts = np.zeros((max(numbers) + 1, len(next(iter(numbers.values())))), dtype)
    for layer, row in numbers.items():
        counts[layer] = row
    return Heat(document["model"], counts)


def keep(model: str, heat: np.ndarray) -> None:
    """Keeps the heat f32[layers, experts] that a model leaves behind for its next run, where that can be. Layers
    without any keep what they have: they ran elsewhere."""
    path = _place(HEAT, model)
    if path is not None and heat.any():
        heat = np.where(heat.any(axis=1, keepdims=True), heat, kept(model, *heat.shape))
        with suppress(OSError, ConfigError):  # a run that begins cold is a slower one, and no error
            private_directory(path.parent)
            path.unlink(missing_ok=True)
            Heat(model, heat.astype(np.float64)).save(path)


def kept(model: str, num_layers: int, num_experts: int) -> np.ndarray:
    """The heat f32[num_layers, num_experts] that a model's last run has left behind; zeros when there is none."""
    return _read(HEAT, model, num_layers, num_experts)


def left_behind(path: Path) -> Heat:
    """The heat that the last run of a model file has left behind. ConfigError: none. ModelFileError, OSError."""
    with ModelFile.open(path) as file:
        model = file.model_hash()
        found = kept(model, file.config.num_hidden_layers, file.config.n_routed_experts)
    if not found.any():
        raise ConfigError(
            f"{path} has left no use of its experts behind; it does when it has run with some of them on disk "
            "(--memory). `kimi-cpu experts record` counts in any case."
        )
    return Heat(model, found)


def pin(recorded: Heat, share: float) -> int:
    """Has the model's next runs keep so large a share of all its experts in memory, the most used ones; returns how
    many. 0: none are pinned any more. ConfigError: there is no home directory. OSError."""
    path = _place(PINNED, recorded.model)
    if path is None:
        raise ConfigError("There is no home directory to keep a list of experts in; set $XDG_STATE_HOME.")
    counts = np.zeros_like(recorded.counts)
    chosen = largest(recorded.counts, round(share * len(recorded.layers) * counts.shape[1]))
    counts.reshape(-1)[chosen] = recorded.counts.reshape(-1)[chosen]
    private_directory(path.parent)
    path.unlink(missing_ok=True)
    if len(chosen):
        Heat(recorded.model, counts).save(path)
    return len(chosen)


def pinned(model: str, num_layers: int, num_experts: int) -> np.ndarray:
    """f32[num_layers, num_experts]: counts of the experts that are pinned, 0 for others."""
    return _read(PINNED, model, num_layers, num_experts)


def _read(kind: str, model: str, num_layers: int, num_experts: int) -> np.ndarray:
    """What is kept for a model, f32[num_layers, num_experts]; zeros when it is nothing, damaged or another model's."""
    numbers = np.zeros((num_layers, num_experts), np.float32)
    path = _place(kind, model)
    with suppress(OSError, ConfigError):
        found = None if path is None else load(path)
        if found is not None and found.model == model and found.counts.shape[1] == num_experts:
            numbers[: len(found.counts)] = found.counts[:num_layers]
    return numbers


def _place(kind: str, model: str) -> Path | None:
    folder = user_folder("STATE")
    return None if folder is None else folder / kind / f"{model[:16]}.json"


def _short(number: int | float) -> int | float:
    """A count as it is, a part with six digits."""
    return number if isinstance(number, int) else float(f"{number:.6g}")


def _are_counts(layers: Any) -> bool:
    """Whether this is a table {number of a layer: counts}, of layers with as many experts."""
    if not isinstance(layers, dict) or not layers:
        return False
    rows = list(layers.values())
    return (
        all(layer.isdecimal() and len(layer) < 5 for layer in layers)
        and all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows)
        and all(type(count) in (int, float) and 0 <= count < MOST for row in rows for count in row)
    )
