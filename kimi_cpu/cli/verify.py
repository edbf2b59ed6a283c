"""kimi-cpu verify: is a model file whole, and is it its checkpoint's?"""

from pathlib import Path

import click


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
    from ..convert.verify import verify
    from .progress import bar

    with bar("verifying") as progress:
        report = verify(file, against, jobs, progress)
    click.echo(f"{file}: {report.num_bytes / 1e9:.2f} GB, every hash is right.")
    if against is not None:
        click.echo(f"{against}: {report.num_exact} parts of matrices are equal bit for bit.")
        for label, (largest, share) in sorted(report.errors.items()):
            click.echo(f"  {label}: largest error {largest:.3g}, {100 * share:.3f} % of its group's largest value")
    for warning in report.warnings:
        click.echo(f"kimi-cpu: warning: {warning}", err=True)
