"""kimi-cpu merge: outputs of shards become one."""

import sys
from pathlib import Path

import click

from .telling import say, warn

STDOUT = Path("-")


@click.command("merge")
@click.argument("outputs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write. [default: stdout]"
)
@click.option("--force", is_flag=True, help="Replace a file of results that is there.")
def command(outputs: tuple[Path, ...], output: Path | None, force: bool) -> None:
    """Join OUTPUTS of `kimi-cpu batch`; of several results of one request, the first answer is taken.

    Results of different models or options, and answers to different requests under one custom_id, are refused.

    \b
    kimi-cpu merge out-1.jsonl out-2.jsonl out-3.jsonl -o out.jsonl
    """
    from ..batch.output import is_result_file
    from ..batch.results import merge
    from ..files import check_replaceable, output_path, replacing

    if output in (None, STDOUT):
        merged = merge(outputs, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        output = output_path(output, outputs)
        check_replaceable(output, "result of kimi-cpu batch", is_result_file, force)
        with replacing(output, private=True) as file:
            merged = merge(outputs, file)
    if merged.num_unnamed:
        warn([f"{merged.num_unnamed} results do not say what they answer, as an earlier version wrote them."])
    if merged.num_different:
        warn([f"{merged.num_different} requests have answers that differ; the first one was taken."])
    counts = f"{merged.num_results} results, {merged.num_failed} of them failures"
    say(f"{counts}; {merged.num_duplicates} repeated lines left out")
