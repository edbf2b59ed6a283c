"""Checkpoints in, one file out. Every transpose, split and permutation of a weight happens in this room."""

from collections.abc import Callable
from pathlib import Path

__all__ = ["convert"]


def convert(
    source: str | Path,
    out: str | Path,
    dense: str = "q8_0",
    layout: str = "native",
    resume: bool = False,
    jobs: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    force: bool = False,
) -> list[str]:
    """Turns a checkpoint directory or a GGUF file into one model file; returns warnings, a sentence each.

    dense: "q8_0" or "bf16", the type of all matrices that the checkpoint does not hold as INT4. layout: "native", or
    "standard" for llama.cpp. resume: go on where an interrupted conversion stopped. jobs: threads, default one a core.
    progress(bytes_done, bytes_total, tensor) is called from this thread. force: replace a model file that is there.
    Raises CheckpointError, ConfigError, OutOfDisk, OSError; what was under the name `out` is left as it was then.
    """
    from .driver import run

    return run(Path(source), Path(out), dense, layout, resume, jobs, progress, force)
