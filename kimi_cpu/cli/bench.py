"""kimi-cpu bench: tokens a second."""

import json
from pathlib import Path
from typing import Any

import click

from .loading import load_model
from .options import model_options, require_model


class Counts(click.ParamType):
    """Numbers separated by commas."""

    name = "N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers of a text."""
        try:
            counts = [int(x) for x in value.split(",")] if isinstance(value, str) else value
        except ValueError:
            counts = [-1]
        if min(counts) < 0:
            self.fail(f"{value!r} is not a list of numbers such as 512,2048.", param, ctx)
        return counts


@click.command("bench")
@click.option("-p", "--prompts", type=Counts(), default="512", show_default=True, help="Lengths of prompts.")
@click.option("-n", "--generations", type=Counts(), default="64", show_default=True, help="Tokens to generate.")
@click.option("-d", "--depths", type=Counts(), default="0", show_default=True, help="Tokens of context before them.")
@click.option("-r", "--repetitions", type=click.IntRange(1), default=5, show_default=True, help="Runs of each row.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@model_options
def bench_command(
    prompts: list[int],
    generations: list[int],
    depths: list[int],
    repetitions: int,
    as_json: bool,
    model: Path | None,
    **loading: Any,
) -> None:
    """Measure tokens a second; names of rows are llama-bench's.

    \b
    kimi-cpu bench -m k2.gguf
    kimi-cpu bench -m k2.gguf -p 512,2048 -n 64 -d 0,4096 --json
    """
    path = require_model(model)
    from ..bench import measure, rows

    wanted = list(rows(prompts, generations, depths))
    if not wanted:
        raise click.UsageError("Nothing to measure: -p and -n are 0.")
    loading["context"] = loading["context"] or max(row.tokens for row in wanted)
    results = []
    with load_model(path, speculate=False, **loading) as llm:  # llama-bench drafts nothing either
        for row in wanted:
            results.append(measure(llm, row, repetitions).as_dict())
            if not as_json:
                _show(results[-1])
    if as_json:
        click.echo(json.dumps(results, indent=1))


def _show(result: dict) -> None:
    rates = result["samples_ts"]
    click.echo(f"{result['test']:>16}  {result['median_ts']:9.2f} tokens/s  ({min(rates):.2f}-{max(rates):.2f})")
