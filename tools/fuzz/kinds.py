"""The kinds of files, and how many cases of each make a whole run."""

from types import ModuleType

from . import model_files

KINDS: dict[str, ModuleType] = {"model": model_files}
WHOLE = {"model": 12_000}
