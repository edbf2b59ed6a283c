"""The kinds of files, and how many cases of each make a whole run."""

from types import ModuleType

from . import checkpoints, model_files, sources

KINDS: dict[str, ModuleType] = {"model": model_files, "checkpoint": checkpoints, "gguf": sources}
WHOLE = {"model": 12_000, "checkpoint": 2_400, "gguf": 700}
