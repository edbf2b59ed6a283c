"""A model loaded for a command, and kimi-cpu warmup, which compiles the kernels ahead of their first use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .display import bar, say, steps

if TYPE_CHECKING:
    from ..llm import LLM

LARGE = 1 << 30  # bytes of a file that takes some time to read


def load_model(path: Path, **loading: Any) -> "LLM":
    """The model with its kernels compiled; its notices go to stderr. Raises as kimi_cpu.load does."""
    from ..kernels.codegen import bus_error
    from ..llm import open_model
    from ..plan import memory_bandwidth

    bus_error.install()
    with reading(path) as progress:  # before the kernels, which take a minute: a wrong file is an error at once
        llm = open_model(path, progress=progress, **loading)
    for notice in llm.notices:
        say(notice)
    try:
        if compile_kernels():
            memory_bandwidth().measure()
    except BaseException:
        llm.close()
        raise
    return llm


@contextmanager
def reading(path: Path) -> Iterator[Callable[[int, int], None] | None]:
    """A function (bytes read, bytes in all) that draws a bar; None for a file that takes no time, or no terminal."""
    try:
        is_large = path.stat().st_size >= LARGE
    except OSError:  # which will be told by those who need it
        is_large = False
    if not is_large:
        yield None
        return
    with bar("kimi-cpu: reading weights") as draw:
        yield draw and (lambda done, total: draw(done, total, ""))


def compile_kernels() -> bool:
    """Compiles the kernels that no earlier process has, and says so on stderr, on a terminal with a bar. Whether there
    were any."""
    from ..kernels import runtime

    if (note := runtime.cache_note()) is not None:
        say(note)
    if runtime.compiled():
        return False
    together = ", together with another process" if runtime.others_compile() else ""
    with steps(f"kimi-cpu: compiling kernels for this CPU, once{together}") as progress:
        runtime.warmup(progress)
    return True


@click.command("warmup")
def warmup_command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it, and measure the memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    from ..plan import memory_bandwidth

    compile_kernels()
    rate = memory_bandwidth().measure()
    memory = "" if rate is None else f"; memory is read at {rate:.1f} GB/s"
    say(f"the kernels are ready{memory}.")
