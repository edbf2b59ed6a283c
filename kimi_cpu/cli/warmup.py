"""kimi-cpu warmup: compile the kernels ahead of their first use."""

import click

from .telling import say


@click.command("warmup")
def command() -> None:
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


def compile_kernels() -> bool:
    """Compiles what no earlier process has; says so on stderr, on a terminal with a bar. Whether there was any."""
    from ..kernels import runtime
    from .progress import steps

    if (note := runtime.cache_note()) is not None:
        say(note)
    if runtime.compiled():
        return False
    together = ", together with another process" if runtime.others_compile() else ""
    with steps(f"kimi-cpu: compiling kernels for this CPU, once{together}") as progress:
        runtime.warmup(progress)
    return True
