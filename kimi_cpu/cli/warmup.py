"""kimi-cpu warmup: compile the kernels ahead of their first use."""

import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext

import click

from .telling import say

SHARE = "from kimi_cpu.kernels import runtime; runtime.warmup(backwards=True)"


@click.command("warmup")
def command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it, and measure the memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    from ..kernels import bandwidth

    _compile_missing()
    rate = bandwidth.measure()
    memory = "" if rate is None else f"; memory is read at {rate:.1f} GB/s"
    say(f"the kernels are ready{memory}.")


def compile_kernels() -> None:
    """Compiles what no earlier process has, then measures the memory; says so on stderr, on a terminal with a bar."""
    from ..kernels import bandwidth

    if _compile_missing():
        bandwidth.measure()


def _compile_missing() -> bool:
    """Whether something had to be compiled."""
    from ..kernels import runtime
    from .progress import steps

    if (note := runtime.cache_note()) is not None:
        say(note)
    if runtime.compiled():
        return False
    others = runtime.others_compile()
    together = ", together with another process" if others else ""
    helper = nullcontext() if others else _helper()
    with steps(f"kimi-cpu: compiling kernels for this CPU, once{together}") as progress, helper:
        runtime.warmup(progress)
    return True


def _helper() -> AbstractContextManager:
    """A second process that compiles, where it helps: LLVM's Python binding compiles one thing at a time, in each."""
    from ..kernels import runtime
    from ..machine import usable_cores

    if usable_cores() == 1 or not runtime.cache_is_shared() or getattr(sys, "frozen", False):
        return nullcontext()
    return subprocess.Popen([sys.executable, "-c", SHARE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
