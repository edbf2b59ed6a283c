"""kimi-cpu verify: is a model file whole, and is it its checkpoint's?"""

from pathlib import Path

import click

from .telling import warn


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--against", metavar="SOURCE", type=click.Path(path_type=Path), help="Compare with this checkpoint, too.")
@click.option("--jobs", type=click.IntRange(1), help="Threads. [default: one a physical core]")
def command(file: Path, against: Path | None, jobs: int | None) -> None:
    """Check the hashes inside FILE; with --against, prove it equal to the checkpoint it was made from.

    \b
    kimi-cpu verify k2.gguf
    kimi-cpu verify k2.gguf --against Kimi-K2-Thinking/
    """
    from ..conversion.verify import verify
    from ..kernels.codegen import bus_error
    from .progress import bar

    bus_error.install()
    with bar("verifying") as progress:
        report = verify(file, against, jobs, progress)
    click.echo(
        f"{file}: {report.nbytes / 1e9:.2f} GB, {report.num_tensors:,} tensors and {report.num_experts:,} experts, "
        "every hash is right."
    )
    if against is not None:
        click.echo(
            f"{against}: {report.int4_values:,} INT4 values with {report.scales:,} scales, and {report.float_values:,} "
            "float values, are equal bit for bit."
        )
        for name, error in sorted(report.errors.items()):
            click.echo(
                f"  {name} ({error.kind}): largest error {error.absolute:.3g}, at most {100 * error.relative:.3f} % of "
                + ("its value" if error.kind == "bf16" else "its group's largest value")
            )
    warn(report.warnings)
