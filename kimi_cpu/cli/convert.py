"""kimi-cpu convert: a checkpoint becomes one model file."""

from pathlib import Path
from typing import NoReturn

import click

from ..config import in_words
from ..errors import Interrupted
from .telling import warn

LAYOUTS = {  # what is said of a file when it is there
    "native": "native layout; run it with: kimi-cpu run -m {file}",
    "standard": "a deepseek2 file for llama.cpp",
}


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option(
    "--dense",
    type=click.Choice(["q8_0", "bf16"]),
    default="q8_0",
    show_default=True,
    help="Type of all matrices but INT4 experts, which are kept bit for bit.",
)
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    default="native",
    show_default=True,
    help="standard: a deepseek2 file for llama.cpp.",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted conversion stopped.")
@click.option("--force", is_flag=True, help="Replace a model file that is there.")
@click.option("--jobs", type=click.IntRange(1), help="Threads. [default: one a physical core]")
def command(source: Path, output: Path, dense: str, layout: str, resume: bool, force: bool, jobs: int | None) -> None:
    """Turn SOURCE, a Hugging Face checkpoint directory or a GGUF file, into one model file.

    A model file that is there is replaced with --force only, the source and other files never; a link is followed. The
    space is taken at once. What a full disk, SIGTERM, SIGHUP or a kill leave beside the output goes on with --resume.

    \b
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf --resume     after an interruption
    """
    from ..conversion import convert
    from ..kernels.codegen import bus_error
    from .interrupts import endings, on_signals
    from .progress import bar

    bus_error.install()
    with on_signals(endings(), _stop), bar("converting") as progress:
        warnings = convert(source, output, dense, layout, resume, jobs, progress, force)
    warn(warnings)
    size = output.stat().st_size
    click.echo(f"{output}: {in_words(size)} ({size:,} bytes), {LAYOUTS[layout].format(file=output)}.")


def _stop(name: str) -> NoReturn:
    raise Interrupted(f"Stopped by {name}; the same command with --resume goes on.")
