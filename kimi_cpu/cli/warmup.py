"""kimi-cpu warmup: compile the kernels ahead of their first use."""

import subprocess
import sys

import click

SHARE = "from kimi_cpu.kernels import runtime; runtime.compile_share()"


@click.command("warmup")
def command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it, and measure the memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    from ..kernels import bandwidth

    _compile_missing()
    click.echo(f"kimi-cpu: the kernels are ready; memory is read at {bandwidth.measure():.1f} GB/s.", err=True)


def compile_kernels() -> None:
    """Compiles what no earlier process has, then measures the memory; says so on stderr, on a terminal with a bar."""
    from ..kernels import bandwidth

    if _compile_missing():
        bandwidth.measure()


def _compile_missing() -> bool:
    """Whether something had to be compiled."""
    from ..kernels import runtime
    from .progress import steps

    if runtime.compiled():
        return False
    # LLVM's Python binding compiles one thing at a time, in a process.
    command = [sys.executable, "-c", SHARE]
    with (
        steps("kimi-cpu: compiling kernels for this CPU, once") as progress,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other,
    ):
        runtime.warmup(progress, others_share=other.wait)
    return True
