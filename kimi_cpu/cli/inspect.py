"""kimi-cpu inspect: what is in a file, and what this machine's CPU can do."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from ..config import in_words
from .display import warn


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
