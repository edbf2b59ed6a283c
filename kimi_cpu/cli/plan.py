"""kimi-cpu plan: whether a model will fit, and how fast it will be, on one host or on several."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..config import in_words
from .loading import compile_kernels
from .options import SIZE
from .plan_hosts import DURATION, RATE, plan_hosts

if TYPE_CHECKING:
    from ..conversion.inspect import Preview
    from ..plan import Prediction

BANDWIDTH = 100.0  # GB/s: a round figure, as the model will not always run on the machine where it is planned
MULTIPLIERS = 2000.0  # GMAC/s: eight cores with AVX-512 VNNI (benchmarks/results-kernels-avx512-vnni.md)
DISK = 3.0  # GB/s: one NVMe drive
POSITIVE = click.FloatRange(min=0, min_open=True)
OF_HOSTS = ("network", "latency", "multipliers", "disk", "prompt_tokens", "answer_tokens", "per_minute", "picture")


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
@click.option(
    "--bandwidth", metavar="GB/S", type=POSITIVE, help=f"At which a host reads its memory. [default: {BANDWIDTH:.0f}]"
)
@click.option("--hosts", metavar="N", type=click.IntRange(1), help="Plan for N hosts, each with the RAM of --memory.")
@click.option("--network", type=RATE, default="10Gb", show_default=True, help="Of a host's network, in bits a second.")
@click.option(
    "--latency",
    type=DURATION,
    default="0.2ms",
    show_default=True,
    help="Of a message between two hosts, programs included.",
)
@click.option(
    "--multipliers",
    metavar="GMAC/S",
    type=POSITIVE,
    help=f"Multiply-adds of a host, 10^9 a second. [default: {MULTIPLIERS:.0f}]",
)
@click.option(
    "--disk", metavar="GB/S", type=POSITIVE, help=f"At which a host reads experts from its disk. [default: {DISK:.0f}]"
)
@click.option(
    "--measure", is_flag=True, help="Measure these three on this machine, where they are not given, in some seconds."
)
@click.option(
    "--prompt-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Of a request, on average."
)
@click.option(
    "--answer-tokens", type=click.IntRange(1), default=512, show_default=True, help="Of a request, on average."
)
@click.option(
    "--per-minute", type=POSITIVE, help="Requests that come, at random moments. [default: more than can be answered]"
)
@click.option(
    "--picture",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw when each host of a replica is busy, as SVG.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures, in bytes and seconds, as JSON.")
def plan_command(
    source: Path,
    context: int | None,
    memory: int | None,
    kv: str,
    dense: str,
    layout: str,
    bandwidth: float | None,
    hosts: int | None,
    network: float,
    latency: float,
    multipliers: float | None,
    disk: float | None,
    measure: bool,
    prompt_tokens: int,
    answer_tokens: int,
    per_minute: float | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Say how large SOURCE will be as a model file, and what it takes to run it.

    SOURCE is a checkpoint directory, a config.json alone, a GGUF file or a model file. The size of the file is exact;
    what is not there to be counted is named. With --memory, the exit code is 4 when weights and cache do not fit. "RAM
    at least" is what `run --memory` takes without --context, or for this context: all but the experts, and those that
    a token needs of one layer; the rest of the RAM keeps more of them.

    With --hosts, the ways in which hosts can share the work are simulated (docs/cluster.md): replicas, each of one host
    or of several that have a part of the layers each. The best is named, with how many requests it should have at once.

    \b
    kimi-cpu plan Kimi-K2-Thinking/config.json --context 32768 --memory 768GiB
    kimi-cpu plan Kimi-K2-Thinking/config.json --hosts 8 --network 10Gb --memory 256GB --bandwidth 200
    """
    if hosts is None:
        _refuse_options_of_hosts()
    from ..conversion.inspect import preview
    from ..machine import disk_rate, usable_memory

    found = preview(source, context, dense, kv, layout)
    if measure:
        from ..plan import matrix_rate, memory_bandwidth

        compile_kernels()
        bandwidth = bandwidth or memory_bandwidth().measure()
        if hosts is not None:
            multipliers = multipliers or matrix_rate()
            disk = disk or (disk_rate(source) if source.is_file() else None)
    if hosts is None:
        _plan_one(source, found, context, memory, kv, bandwidth or BANDWIDTH, as_json)
        return
    from ..plan import Cluster, Host, Load, Network

    host = Host(memory or usable_memory(), bandwidth or BANDWIDTH, multipliers or MULTIPLIERS, disk or DISK)
    cluster = Cluster(hosts, host, Network(latency, network))
    load = Load(prompt_tokens, answer_tokens, None if per_minute is None else per_minute / 60)
    plan_hosts(found, kv, cluster, load, picture, as_json)


def _refuse_options_of_hosts() -> None:
    """A usage error: an option of hosts is given without any."""
    context = click.get_current_context()
    for name in OF_HOSTS:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} says something of several hosts; give --hosts, too.")


def _plan_one(
    source: Path, found: "Preview", context: int | None, memory: int | None, kv: str, bandwidth: float, as_json: bool
) -> None:
    """Prints what it takes to run a model on one host. memory: None for this machine's."""
    from ..llm.memory import least_memory
    from ..llm.options import KV, LoadOptions
    from ..machine import usable_memory
    from ..plan import Machine, predict

    compute = next(name for name, kinds in KV.items() if kv in kinds)
    shortest = context and min(context, found.config.max_position_embeddings)
    options = LoadOptions(context=shortest, kv=kv, compute=compute)
    least = least_memory(source, found.config, found.tensors, options)
    available, where = (usable_memory(), "this process may use") if memory is None else (memory, "--memory is")
    prediction = predict(found.needs, Machine(available, bandwidth))
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"least_memory": least}))
    else:
        _print_plan(found, least, prediction, bandwidth)
    if prediction.missing:
        click.echo(
            f"Does not fit: {where} {in_words(available)}, {in_words(prediction.missing)} too little; "
            f"up to {in_words(prediction.from_disk)} would be read from disk for one token.",
            err=True,
        )
        sys.exit(4 if memory is not None else 0)
    click.echo(f"Fits: {where} {in_words(available)}.", err=True)


def _print_plan(found: "Preview", least: int, prediction: "Prediction", bandwidth: float) -> None:
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
            f"{in_words(needs.token)}: {prediction.tokens_per_s:.1f} tokens/s at most at {bandwidth:.0f} GB/s",
        ),
    ]
    for label, value in rows:
        click.echo(f"{label:28} {value}")
