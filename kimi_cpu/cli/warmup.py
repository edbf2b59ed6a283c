"""kimi-cpu warmup: compile the kernels ahead of their first use."""

import click


@click.command("warmup")
def command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    compile_kernels()
    click.echo("kimi-cpu: the kernels are ready.", err=True)


def compile_kernels() -> None:
    """Compiles what no earlier process has; says so on stderr, with a bar on a terminal."""
    from ..kernels import runtime
    from .progress import steps

    if runtime.compiled():
        return
    with steps("kimi-cpu: compiling kernels for this CPU, once") as progress:
        runtime.warmup(progress)
