"""A model loaded for a command; kimi-cpu warmup, which compiles the kernels ahead of their first use; and kimi-cpu
bench, which measures tokens a second."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .display import say, steps
from .options import model_options, require_model

if TYPE_CHECKING:
    from ..llm import LLM


def load_model(path: Path, **loading: Any) -> "LLM":
    """The model with its kernels compiled; its notices go to stderr. Raises as kimi_cpu.load does."""
    from ..kernels.codegen import bus_error
    from ..llm import open_model
    from ..plan import memory_bandwidth

    bus_error.install()
    llm = open_model(path, **loading)  # before the kernels, which take a minute: a wrong file is an error at once
    for notice in llm.notices:
        say(notice)
    try:
        if compile_kernels():
            memory_bandwidth().measure()
    except BaseException:
        llm.close()
        raise
    return llm


def compile_kernels() -> bool:
    """Compiles the kernels that no earlier process has, and says so on stderr, on a terminal with a bar. Whether there
    were any."""
    from ..kernels import runtime

    if (note := runtime.cache_note()) is not None:
        say(note)
    if runtime.compiled():
        return False
    together = ", together with another process" if runtime.others_compile() else ""
    with steps(f"kimi-cpu: compiling kernels for this CPU, once{together}") as progress:
        runtime.warmup(progress)
    return True


@click.command("warmup")
def warmup_command() -> None:
    """Compile the kernels for this CPU now, so that the first answer does not wait for it, and measure the memory.

    They are kept in $XDG_CACHE_HOME/kimi-cpu (~/.cache/kimi-cpu) and compiled again only when the program changes.

    \b
    kimi-cpu warmup
    """
    from ..plan import memory_bandwidth

    compile_kernels()
    rate = memory_bandwidth().measure()
    memory = "" if rate is None else f"; memory is read at {rate:.1f} GB/s"
    say(f"the kernels are ready{memory}.")


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
