"""The kinds of files, and how many cases of each make a whole run."""

from pathlib import Path
from random import Random
from typing import Protocol

from . import checkpoints, model_files, sources
from .kept import CacheEntries, Journals, Sessions


class Kind(Protocol):
    """prepare: makes good files. make: a case's file, or folder. use: what comes of it, answered or refused."""

    def prepare(self, folder: Path) -> None: ...

    def make(self, rng: Random, folder: Path, path: Path) -> None: ...

    def use(self, path: Path) -> str: ...


KINDS: dict[str, Kind] = {
    "model": model_files,
    "checkpoint": checkpoints,
    "gguf": sources,
    "session": Sessions,
    "cache": CacheEntries,
    "journal": Journals,
}
WHOLE = {"model": 12_000, "checkpoint": 2_400, "gguf": 700, "session": 600, "cache": 100, "journal": 100}
