"""kimi-cpu merge: outputs of shards become one."""

import os
import sys
from pathlib import Path

import click


@click.command("merge")
@click.argument("outputs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write. [default: stdout]"
)
def command(outputs: tuple[Path, ...], output: Path | None) -> None:
    """Join OUTPUTS of `kimi-cpu batch`; of several results of one request, the first answer is taken.

    \b
    kimi-cpu merge out-1.jsonl out-2.jsonl out-3.jsonl -o out.jsonl
    """
    from ..batch.merge import merge

    if output is None:
        merged = merge(outputs, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        partial = output.with_name(output.name + ".partial")
        try:
            with partial.open("wb") as file:
                merged = merge(outputs, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    click.echo(
        f"kimi-cpu: {merged.num_results} results, {merged.num_failed} of them failures; "
        f"{merged.num_duplicates} repeated lines left out",
        err=True,
    )
