"""Writes the table of docs/cluster.md, and docs/stages.svg: Kimi K2 Thinking on 2 to 32 hosts, simulated.

python -m tools.make_hosts_table
"""

import re
from collections.abc import Iterator
from pathlib import Path

from kimi_cpu.conversion.inspect import preview
from kimi_cpu.plan import Cluster, Host, Load, Model, Network, Proposal, picture, propose

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "cluster.md"
PICTURE = ROOT / "docs" / "stages.svg"
CONFIG = ROOT / "tests" / "data" / "configs" / "kimi_k2_thinking.json"
HOST = Host(memory=256 * 10**9, bandwidth=200.0, multipliers=4000.0, disk=3.0)
NETWORK = Network(latency_s=0.0002, rate=10e9 / 8)
LOAD = Load(prompt=1024, generated=512)
NUMBERS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
DRAWN = 3  # hosts of the picture
HEAD = (
    "hosts",
    "each by itself",
    "best: replicas x hosts",
    "requests at once",
    "tokens/s in all",
    "of each",
    "alone: first token",
    "then tokens/s",
)
TABLE = re.compile(rf"(?<=\| {HEAD[0]} \| ).*?(?=\n\n)", re.DOTALL)  # of FILE


def proposal(num_hosts: int) -> Proposal:
    """The ways of so many hosts."""
    found = preview(CONFIG)
    proposal = propose(Model.of(found.config, found.tensors, "f16"), Cluster(num_hosts, HOST, NETWORK), LOAD)
    assert proposal is not None, "256 GB hold more than the weights outside the experts"
    return proposal


def row(num_hosts: int, found: Proposal) -> str:
    """A line of the table."""
    single, best = found.ways[0], found.best
    assert single.num_stages == 1
    cells = (
        f"{num_hosts}",
        f"{single.rate:.1f} tokens/s",
        f"{best.num_replicas} x {best.num_stages}",
        f"{best.num_replicas} x {best.in_flight}",
        f"{best.rate:.0f}",
        f"{1 / best.busy.token_s:.2f}",
        f"{best.first_s:.0f} s",
        f"{1 / best.token_s:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def lines() -> Iterator[str]:
    """Those of the table, and the picture of one of them."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    for num_hosts in NUMBERS:
        found = proposal(num_hosts)
        if num_hosts == DRAWN:
            PICTURE.write_text(picture(found.best), encoding="utf-8")
        yield row(num_hosts, found)


if __name__ == "__main__":
    table = "\n".join(lines()).removeprefix(f"| {HEAD[0]} | ")
    FILE.write_text(TABLE.sub(lambda _: table, FILE.read_text(encoding="utf-8"), count=1), encoding="utf-8")
