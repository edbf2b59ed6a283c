"""A model loaded for a command, and kimi-cpu warmup, which compiles the kernels ahead of their first use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .display import bar, say, steps

if TYPE_CHECKING:
    from ..llm import LLM

COMPILING_S = 17.0  # on two cores: docs/performance.md

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
def opened_model(
    path: Path, ray: str | None, ray_stages: int | None, fetch: str | None = None, **loading: Any
) -> Iterator["LLM"]:
    """The model of a command: of this process, or, with ray_stages, spread over so many hosts of the Ray cluster at an
    address."""
    if ray is None or ray_stages is None:
        with load_model(path, **loading) as llm:
            yield llm
        return
    from ..cluster import connected, load_stages

    with (
        connected(ray, say, ray_stages),
        reading(path) as progress,
        load_stages(path, ray_stages, say, fetch, progress, **loading) as llm,
    ):
        yield llm


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
    what = f"kimi-cpu: compiling kernels for this CPU, once{together}"
    with steps(what, COMPILING_S, power=3) as progress:  # what takes long is compiled first
        runtime.warmup(progress)
    return True


def tune_kernels(again: bool = False) -> None:
    """Measures how the kernels are fastest on this machine, unless that is known already, and says so on stderr."""
    from ..kernels import runtime, tuner

    if again or not runtime.tuning().measured:
        with steps("kimi-cpu: measuring how the kernels are fastest on this machine, once", tuner.SECONDS) as progress:
            if (reason := tuner.tune(progress)) is not None:
                say(reason)


@click.command("warmup")
@click.option("--tune", is_flag=True, help="Measure again how the kernels are fastest on this machine.")
def warmup_command(tune: bool) -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it; tune them to this machine,
    and measure its memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes. No
    result depends on the tuning, only speed; `kimi-cpu inspect --cpu` shows it.

    \b
    kimi-cpu warmup
    kimi-cpu warmup --tune    in a quiet moment, if the machine was busy the first time
    """
    from ..plan import memory_bandwidth

    compile_kernels()
    tune_kernels(tune)
    rate = memory_bandwidth().measure()
    memory = "" if rate is None else f"; memory is read at {rate:.1f} GB/s"
    say(f"the kernels are ready{memory}.")
