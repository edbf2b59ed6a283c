"""The part of kimi-cpu plan that is about several hosts: units of their network, and how a proposal is shown."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import in_words
from ..errors import OutOfMemory
from ..files import check_replaceable, open_regular, replacing

if TYPE_CHECKING:
    from ..conversion.inspect import Preview
    from ..plan import Arrangement, Cluster, Load, Proposal

SVG = b"<svg"


class Quantity(click.ParamType):
    """A number and its unit."""

    def __init__(self, name: str, units: dict[str, float], example: str):
        """units: the factor of each."""
        self.name, self._units, self._example = name, units, example

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, times the factor of its unit."""
        found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([A-Za-z/]+)\s*", str(value))
        if found is None or found[2] not in self._units or not float(found[1]):
            self.fail(f"{value!r} is no {self.name}; write it as {self._example}.", param, ctx)
        return float(found[1]) * self._units[found[2]]


RATE = Quantity(
    "rate", {unit + end: size / 8 for unit, size in (("Mb", 1e6), ("Gb", 1e9)) for end in ("", "/s")}, "10Gb"
)
DURATION = Quantity("duration", {"us": 1e-6, "ms": 1e-3, "s": 1.0}, "0.2ms")


def plan_hosts(
    found: "Preview", kv: str, cluster: "Cluster", load: "Load", picture: Path | None, as_json: bool
) -> None:
    """Prints how hosts can share the work of a model, and draws it. OutOfMemory: they have no room for it.
    ConfigError: the picture would replace another kind of file. OSError."""
    from .. import plan

    proposal = plan.propose(plan.Model.of(found.config, found.tensors, kv), cluster, load)
    if proposal is None:
        raise OutOfMemory(
            f"{cluster.num_hosts} hosts with {in_words(cluster.host.memory)} each have no room for the weights outside "
            f"the experts ({in_words(found.needs.dense)}) and the cache of a request. Give them more --memory, or more "
            "--hosts."
        )
    if picture is not None:
        check_replaceable(picture, "SVG picture", _is_svg, force=True)
        with replacing(picture) as file:
            file.write(plan.picture(proposal.best).encode())
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"hosts": proposal.as_dict()}))
        return
    _print_question(found, cluster, load)
    _print_ways(proposal, load)
    click.echo(_advice(proposal))


def _print_question(found: "Preview", cluster: "Cluster", load: "Load") -> None:
    host, network = cluster.host, cluster.network
    come = "as many as can be, always" if load.per_s is None else f"{60 * load.per_s:g} a minute, at random moments"
    rows = [
        ("model file", f"{in_words(found.file)}, {in_words(found.needs.token)} read for one token"),
        ("hosts", f"{cluster.num_hosts}, each with {in_words(host.memory)} at {host.bandwidth:.0f} GB/s,"),
        ("", f"{host.multipliers:.0f} GMAC/s, experts from disk at {host.disk:.1f} GB/s"),
        ("network", f"{8e-9 * network.rate:g} Gb/s, {1e3 * network.latency_s:g} ms"),
        ("requests", f"{load.prompt} tokens and {load.generated} of answer, up to half as many more or less; {come}"),
    ]
    for label, value in rows:
        click.echo(f"{label:12} {value}")


def _print_ways(proposal: "Proposal", load: "Load") -> None:
    """Prints a table of all ways; the best is marked."""
    heads = ["replicas", "hosts each", "experts in RAM", "alone: first", "then", "at once", "each", "in all", "busy"]
    if load.per_s is not None:
        heads += ["waits", "answered in"]
    rows = [heads, *(_cells(way, load) for way in proposal.ways)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    marks = ["", *("best" if way is proposal.best else "" for way in proposal.ways)]
    click.echo()
    for row, mark in zip(rows, marks, strict=True):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo(f"{'   '.join(cells)}   {mark}".rstrip())
    click.echo()


def _cells(way: "Arrangement", load: "Load") -> list[str]:
    """A way's row of the table."""
    cells = [
        f"{way.num_replicas}",
        f"{way.num_stages}",
        f"{way.resident:.0%}",
        _seconds(way.first_s),
        f"{1 / way.token_s:.1f}/s",
        f"{way.in_flight}",
        f"{1 / way.busy.token_s:.2f}/s",
        f"{way.rate:.1f}/s",
        f"{sum(way.busy.occupancy) / way.num_stages:.0%}",
    ]
    if load.per_s is not None:
        run = way.served
        cells += ["ever longer", ""] if run is None else [_seconds(run.wait_s), _seconds(run.answer_s)]
    return cells


def _advice(proposal: "Proposal") -> str:
    """What to do, and what the loss of a host costs."""
    best, loss = proposal.best, proposal.loss
    if best.num_stages == 1:
        hosts = "one host"
    else:
        shares = ", ".join(str(len(layers)) for layers in best.layers)
        hosts = f"{best.num_stages} hosts with {shares} layers (`--ray-stages {best.num_stages}`)"
    return (
        f"Best: {best.num_replicas} x {hosts}, {best.in_flight} requests at once on each (`--parallel`).\n"
        f"A lost host costs its replica {_seconds(loss.away_s)} until it is back, and {_seconds(loss.again_s)} of work "
        "that is done again."
    )


def _seconds(seconds: float) -> str:
    """A duration for a person."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _is_svg(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(len(SVG)) == SVG
