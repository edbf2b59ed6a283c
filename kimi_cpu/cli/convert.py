"""kimi-cpu convert: a checkpoint becomes one model file; and kimi-cpu verify, which proves that it is whole."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ..config import in_words
from ..errors import Interrupted
from .display import bar, warn
from .interrupts import endings, on_signals

if TYPE_CHECKING:
    from ..conversion.verify import Report

LAYOUTS = {  # layout: the words about a file that was made in it
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
@click.option(
    "--stages",
    type=click.IntRange(2),
    metavar="K",
    help="Then write K parts beside the file, for hosts with small disks that run it with --ray-stages K.",
)
def convert_command(
    source: Path,
    output: Path,
    dense: str,
    layout: str,
    resume: bool,
    force: bool,
    jobs: int | None,
    stages: int | None,
) -> None:
    """Turn SOURCE, a Hugging Face checkpoint directory or a GGUF file, into one model file.

    A model file that is there is replaced with --force only, the source and other files never; a link is followed. The
    space is taken at once. What a full disk, SIGTERM, SIGHUP or a kill leave beside the output goes on with --resume.

    \b
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf --resume     after an interruption
    kimi-cpu convert Kimi-K2-Thinking/ -o k2.gguf --resume --stages 3     k2-1-of-3.gguf, k2-2-of-3.gguf, ...
    """
    if stages is not None and layout != "native":
        raise click.UsageError("--stages is for the native layout, which --ray-stages runs.")
    from ..conversion import convert
    from ..kernels.codegen import bus_error

    bus_error.install()
    with on_signals(endings(), _stop), bar("converting") as progress:
        warnings = convert(source, output, dense, layout, resume, jobs, progress, force)
    warn(warnings)
    size = output.stat().st_size
    click.echo(f"{output}: {in_words(size)} ({size:,} bytes), {LAYOUTS[layout].format(file=output)}.")
    if stages is not None:
        from ..conversion.parts import write_parts

        with on_signals(endings(), _stop), bar("writing parts") as progress:
            parts = write_parts(output, stages, force, progress)
        for part in parts:
            taken = part.stat().st_blocks * 512
            click.echo(f"{part}: {in_words(taken)} on the disk; copy it so that holes stay (rsync --sparse).")


def _stop(name: str) -> NoReturn:
    raise Interrupted(f"Stopped by {name}; the same command with --resume goes on.")


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", metavar="SOURCE", type=click.Path(path_type=Path), help="Compare with this checkpoint, too.")
@click.option("--jobs", type=click.IntRange(1), help="Threads. [default: one a physical core]")
def verify_command(file: Path, against: Path | None, jobs: int | None) -> None:
    """Check the hashes inside FILE; with --against, prove it equal to the checkpoint it was made from.

    FILE may be a part that convert --stages has written, or a folder of them, which then has to have all.

    \b
    kimi-cpu verify k2.gguf
    kimi-cpu verify k2.gguf --against Kimi-K2-Thinking/
    """
    from ..conversion.verify import verify
    from ..conversion.verify_parts import verify_parts
    from ..kernels.codegen import bus_error

    bus_error.install()
    with bar("verifying") as progress:
        if file.is_dir():
            reports = verify_parts(file, against, jobs, progress)
        else:
            reports = [verify(file, against, jobs, progress)]
    for report in reports:
        _tell(report)


def _tell(report: "Report") -> None:
    """Prints what has been proved."""
    layers, part = report.layers, ""
    if len(layers) < report.num_layers:
        part = f"layers {layers.start} to {layers.stop - 1} of {report.num_layers}, "
    click.echo(
        f"{report.path}: {part}{report.nbytes / 1e9:.2f} GB, {report.num_tensors:,} tensors and {report.num_experts:,} "
        "experts, every hash is right."
    )
    if report.against is not None:
        click.echo(
            f"{report.against}: {report.int4_values:,} INT4 values with {report.scales:,} scales, and "
            f"{report.float_values:,} float values, are equal bit for bit."
        )
        for name, error in sorted(report.errors.items()):
            click.echo(
                f"  {name} ({error.kind}): largest error {error.absolute:.3g}, at most {100 * error.relative:.3f} % of "
                + ("its value" if error.kind == "bf16" else "its group's largest value")
            )
    warn(report.warnings)
