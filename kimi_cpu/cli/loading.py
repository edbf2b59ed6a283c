"""Loading a model for a command."""

from pathlib import Path
from typing import TYPE_CHECKING

from .telling import say
from .warmup import compile_kernels

if TYPE_CHECKING:
    from ..llm import LLM


def load_model(path: Path, **loading) -> "LLM":
    """The model, its kernels compiled; stderr says what its owner should know. Raises as kimi_cpu.load does."""
    from ..kernels.codegen import bus_error
    from ..llm import open_model
    from ..plan import memory_bandwidth

    bus_error.install()
    llm = open_model(path, **loading)  # before the kernels, which take a minute: a wrong file is said at once
    for notice in llm.notices:
        say(notice)
    try:
        if compile_kernels():
            memory_bandwidth().measure()
    except BaseException:
        llm.close()
        raise
    return llm
