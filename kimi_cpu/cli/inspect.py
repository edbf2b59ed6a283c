"""Commands that look at files and run no model: kimi-cpu inspect shows what is in one, plan whether it will fit."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import in_words
from .display import warn
from .options import SIZE

if TYPE_CHECKING:
    from ..conversion.inspect import Preview
    from ..plan import Prediction

BANDWIDTH = 100.0  # GB/s: a round figure, as the model will not always run on the machine where it is planned


@click.command("inspect")
@click.argument("source", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--tensors", is_flag=True, help="List every tensor.")
@click.option("--cpu", is_flag=True, help="Show this machine's instruction sets and threads instead.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def inspect_command(source: Path | None, tensors: bool, cpu: bool, as_json: bool) -> None:
    """Show the configuration, the sizes by class and the tensors of SOURCE: a checkpoint directory or a GGUF file.

    \b
    kimi-cpu inspect k2.gguf --tensors
    kimi-cpu inspect --cpu
    """
    if cpu:
        from ..kernels import runtime
        from ..plan import memory_bandwidth

        facts = runtime.describe()
        if (rate := memory_bandwidth().measured()) is not None:
            facts["memory_gb_s"] = rate
        lines = [f"{name}: {' '.join(map(str, v)) if isinstance(v, list) else v}" for name, v in facts.items()]
        click.echo(json.dumps(facts) if as_json else "\n".join(lines))
        return
    if source is None:
        raise click.UsageError("Name a checkpoint directory or a file, or ask for --cpu.")
    from ..conversion.inspect import inspect

    contents = inspect(source)
    if as_json:
        click.echo(json.dumps(contents.as_dict()))
        return
    click.echo(f"{contents.path}: {contents.kind}, {in_words(sum(contents.sizes.values()))}")
    for name, value in asdict(contents.config).items():
        click.echo(f"  {name}: {value}")
    click.echo("sizes")
    for label, nbytes in sorted(contents.sizes.items(), key=lambda item: -item[1]):
        click.echo(f"  {label:20} {in_words(nbytes)}")
    if tensors:
        click.echo("tensors")
        for name, dtype, shape, nbytes in contents.tensors:
            click.echo(f"  {name}  {dtype}  {shape}  {nbytes:,}")
    warn(contents.warnings)


@click.command("plan")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--context", type=click.IntRange(1), help="Tokens of context. [default: the model's own]")
@click.option("--memory", type=SIZE, help="RAM to plan for, as 64GiB. [default: what this process may use]")
@click.option(
    "--kv", type=click.Choice(["f16", "int8", "f32"]), default="f16", show_default=True, help="Type of cache."
)
@click.option("--dense", type=click.Choice(["q8_0", "bf16"]), default="q8_0", show_default=True, help="As for convert.")
@click.option(
    "--layout", type=click.Choice(["native", "standard"]), default="native", show_default=True, help="As for convert."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures, in bytes, as JSON.")
def plan_command(
    source: Path, context: int | None, memory: int | None, kv: str, dense: str, layout: str, as_json: bool
) -> None:
    """Say how large SOURCE will be as a model file, and what it takes to run it.

    SOURCE is a checkpoint directory, a config.json alone, a GGUF file or a model file. The size of the file is exact;
    what is not there to be counted is named. With --memory, the exit code is 4 when weights and cache do not fit. "RAM
    at least" is what `run --memory` takes without --context, or for this context: all but the experts, and those that
    a token needs of one layer; the rest of the RAM keeps more of them.

    \b
    kimi-cpu plan Kimi-K2-Thinking/config.json --context 32768 --memory 768GiB
    """
    from ..conversion.inspect import preview
    from ..llm.memory import least_memory
    from ..llm.options import KV, LoadOptions
    from ..machine import usable_memory
    from ..plan import Machine, predict

    found = preview(source, context, dense, kv, layout)
    compute = next(name for name, kinds in KV.items() if kv in kinds)
    shortest = context and min(context, found.config.max_position_embeddings)
    options = LoadOptions(context=shortest, kv=kv, compute=compute)
    least = least_memory(source, found.config, found.tensors, options)
    available, where = (usable_memory(), "this process may use") if memory is None else (memory, "--memory is")
    prediction = predict(found.needs, Machine(available, BANDWIDTH))
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"least_memory": least}))
    else:
        _print_plan(found, least, prediction)
    if prediction.missing:
        click.echo(
            f"Does not fit: {where} {in_words(available)}, {in_words(prediction.missing)} too little; "
            f"up to {in_words(prediction.from_disk)} would be read from disk for one token.",
            err=True,
        )
        sys.exit(4 if memory is not None else 0)
    click.echo(f"Fits: {where} {in_words(available)}.", err=True)


def _print_plan(found: "Preview", least: int, prediction: "Prediction") -> None:
    """Prints the sizes and the speed of a plan. least: bytes of RAM with which it just runs."""
    needs = found.needs
    rows = [
        ("model file", f"{in_words(found.file)} ({found.file:,} bytes)"),
        *(("  and, not known here,", what) for what in found.unknown),
        ("weights in RAM", in_words(needs.weights)),
        ("  without routed experts", in_words(needs.dense)),
        (f"  {needs.num_experts} routed experts of", in_words(needs.expert)),
        (f"cache at {needs.context} tokens", f"{in_words(needs.cache)} ({needs.cache_token:,} bytes a token)"),
        ("RAM in all", in_words(needs.memory)),
        ("RAM at least", f"{in_words(least)}, with experts read from disk, cache and program included"),
        (
            "read for one token",
            f"{in_words(needs.token)}: {prediction.tokens_per_s:.1f} tokens/s at most at {BANDWIDTH:.0f} GB/s",
        ),
    ]
    for label, value in rows:
        click.echo(f"{label:28} {value}")
