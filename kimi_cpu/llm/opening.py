"""kimi_cpu.load: a model file opened, and all made ready."""

import os
from pathlib import Path
from typing import Unpack

from ..kernels import runtime
from . import loading
from .llm import LLM
from .options import LoadKeywords, Progress, options_of


def load(
    path: str | os.PathLike[str] | None = None, *, progress: Progress | None = None, **options: Unpack[LoadKeywords]
) -> LLM:
    """A model, ready to run. path: a model file; when None, $KIMI_CPU_MODEL or else the bundled demonstration model.
    options: fields of LoadOptions.

    The weights are read, and the kernels are made ready, which takes half a minute when they were never compiled on
    this machine. progress: called meanwhile, first with (bytes read, bytes in all), then with (steps done, steps in
    all); what it raises ends the loading. Raises ModelFileError, ConfigError, OutOfMemory, OSError.
    """
    llm = open_model(path, progress=progress, **options)
    try:
        if progress is not None or not runtime.compiled():
            runtime.warmup(progress)
    except BaseException:
        llm.close()
        raise
    return llm


def open_model(
    path: str | os.PathLike[str] | None = None, *, progress: Progress | None = None, **options: Unpack[LoadKeywords]
) -> LLM:
    """As `load`, but kernels that were never compiled are as the first request needs them."""
    path = path or os.environ.get("KIMI_CPU_MODEL") or loading.BUNDLED_MODEL
    return LLM(Path(path), options_of(options), progress)
