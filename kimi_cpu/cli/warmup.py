"""kimi-cpu warmup: compile the kernels ahead of their first use."""

import click


@click.command("warmup")
def command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it, and measure the memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    compile_kernels()
    from ..kernels import bandwidth

    click.echo(f"kimi-cpu: the kernels are ready; memory is read at {bandwidth.measure():.1f} GB/s.", err=True)


def compile_kernels() -> None:
    """Compiles what no earlier process has, and measures the memory; says so on stderr, with a bar on a terminal."""
    from ..kernels import bandwidth, runtime
    from .progress import steps

    if runtime.compiled():
        return
    with steps("kimi-cpu: compiling kernels for this CPU, once") as progress:
        runtime.warmup(progress)
    bandwidth.measure()
