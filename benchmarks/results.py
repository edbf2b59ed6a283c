"""Files of benchmarks/engine.py: every round of every row as JSON, and the table that is written from it.

A file is {"runs": […]}, a line a run. A run: row, threads, isa, begun; machine (machine.facts); model_bytes; about:
{engine: {version, flags, …}}; pieces: {engine: {rate, reader, macs}}, lists of one number a round: tokens a second, and
the bytes and int8 multiply-adds a second that the machine reached just before and after; needs: {our engine: {bytes,
macs}} of a token. An engine's bound is the larger of the times for a token's bytes and for its multiply-adds.
"""

import json
import os
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from machine import card_of
from rows import parse

OURS = "kimi-cpu"  # how the names of our engines begin
KEPT = 3  # runs of a row
TITLE = """# Engine, {isa}

Written by benchmarks/engine.py from {source}: tokens a second, medians of all rounds of a row's
runs, and the share of what the machine allows in the same seconds. Bound: memory, as a plain reader gets it, or
multipliers, as INT4 products in registers get them; a peer is taken to need the same bytes and multiply-adds as this
engine. Ratios are of this engine to the fastest peer of the row, round by round: median (quartiles) of all, and the
medians of the runs.
"""


class Share(NamedTuple):
    """rate: tokens a second. share: of the bound. bound: "memory" or "multipliers", limit: bytes or multiply-adds a
    second. Medians of the rounds."""

    rate: float
    share: float
    bound: str
    limit: float


def load(path: Path) -> list[dict]:
    """The runs of a file; none when there is no file."""
    return json.loads(path.read_text())["runs"] if path.exists() else []


def add(path: Path, run: dict) -> None:
    """Adds a run to a file and writes the table beside it. Of a row, the last three runs of the same commit stay."""

    runs = load(path)
    others = [r for r in runs if _order(r) != _order(run)]
    same = [r for r in runs if _order(r) == _order(run) and r["machine"]["commit"] == run["machine"]["commit"]]
    runs = sorted([*others, *same[1 - KEPT :], _rounded(run)], key=_order)
    _replace(path, '{"runs": [\n' + ",\n".join(map(json.dumps, runs)) + "\n]}\n")
    _replace(path.with_suffix(".md"), "\n".join([TITLE.format(isa=run["isa"], source=path.name), *table(runs)]) + "\n")


def by_row(runs: list[dict]) -> dict[tuple[int, str], list[dict]]:
    """(threads, row) -> its runs."""
    found: dict[tuple[int, str], list[dict]] = {}
    for run in runs:
        found.setdefault((run["threads"], run["row"]), []).append(run)
    return found


def engines_of(runs: list[dict]) -> list[str]:
    """Names of all engines: ours, and the peers in the order in which they were given."""
    names = dict.fromkeys(engine for run in runs for engine in run["about"])
    return sorted(names, key=lambda name: not name.startswith(OURS))


def share(runs: list[dict], engine: str) -> Share | None:
    """Of a row's runs; None when the engine was not measured."""
    found = [(run, piece) for run in runs if engine in run["about"] for piece in _pieces(run, engine)]
    if not found:
        return None
    times = {"memory": [], "multipliers": []}
    for run, piece in found:
        needs = run["needs"].get(engine) or next(iter(run["needs"].values()))
        times["memory"].append(piece["rate"] * needs["bytes"] / piece["reader"])
        times["multipliers"].append(piece["rate"] * needs["macs"] / piece["macs"])
    bound = max(times, key=lambda name: median(times[name]))
    limit = median(piece["reader" if bound == "memory" else "macs"] for _, piece in found)
    return Share(median(piece["rate"] for _, piece in found), median(times[bound]), bound, limit)


def best_peer(runs: list[dict]) -> str | None:
    """The peer with the highest median rate in a row's runs."""
    peers = [engine for engine in engines_of(runs) if not engine.startswith(OURS)]
    return max(peers, key=lambda peer: share(runs, peer).rate, default=None)


def ratios(run: dict, engine: str, peer: str) -> list[float]:
    """Rate of an engine to a peer's, of each round; none when one of them was not measured."""
    if not {engine, peer} <= run["about"].keys():
        return []
    pairs = zip(run["pieces"][engine]["rate"], run["pieces"][peer]["rate"], strict=True)
    return [ours / theirs for ours, theirs in pairs]


def table(runs: list[dict]) -> list[str]:
    """Lines of Markdown: the table of all rows, and below it what it was measured on, with what."""
    engines = engines_of(runs)
    ours = [engine for engine in engines if engine.startswith(OURS)]
    head = [
        "threads",
        "row",
        *engines,
        *(f"{e.removeprefix(OURS).strip()} : best peer" for e in ours),
        "bound",
        "rounds",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "--|" * len(head)]
    for (threads, row), those in by_row(runs).items():
        shares, peer = [share(those, engine) for engine in engines], best_peer(those)
        cells = [f"{s.rate:.1f}, {s.share:.0%}" if s else "" for s in shares]
        cells += [_ratio(those, engine, peer) for engine in ours]
        first = next(s for s in shares if s)
        unit = "GB/s" if first.bound == "memory" else "GMAC/s"
        cells += [f"{first.bound}, {first.limit / 1e9:.0f} {unit}", str(sum(len(_pieces(r, ours[0])) for r in those))]
        lines.append(f"| {threads} | {row} | {' | '.join(cells)} |")
    return [*lines, "", *_notes(runs)]


def _ratio(runs: list[dict], engine: str, peer: str | None) -> str:
    """'median (quartiles) peer; medians of the runs'."""
    if peer is None:
        return ""
    each = [found for run in runs if (found := ratios(run, engine, peer))]
    if not each:
        return ""
    low, middle, high = quantiles([ratio for found in each for ratio in found], n=4)
    of_runs = ", ".join(f"{median(found):.2f}" for found in each) if len(each) > 1 else ""
    return f"**{middle:.2f}** ({low:.2f}-{high:.2f}) {peer}" + (f"; {of_runs}" if of_runs else "")


def _notes(runs: list[dict]) -> list[str]:
    """Machine and commit of the runs; version, flags and build of each engine."""
    lines = []
    for run in runs:
        size = f"model of {run['model_bytes'] / 1e9:.2f} GB, isa {run['isa']}."
        text = "\n".join([*card_of(run["machine"]), size, ""])
        if text not in lines:
            lines.append(text)
    about = {engine: facts for run in runs for engine, facts in run["about"].items()}
    for engine, facts in about.items():
        lines.append(f"- {engine}: " + "; ".join(text for text in facts.values() if text))
    return lines


def _pieces(run: dict, engine: str) -> list[dict]:
    """{rate, reader, macs} of each round."""
    columns = run["pieces"][engine]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _order(run: dict) -> tuple:
    """Where a run's row stands in a table: all of a number of threads together, and last what is beside a process."""
    row = parse(run["row"])
    return run["threads"], row.busy, ("tg", "x", "pp").index(row.kind), row.depth, row.count


def _rounded(value):
    """Numbers with four digits."""
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case list():
            return [_rounded(inner) for inner in value]
    return value


def _replace(path: Path, text: str) -> None:
    """Writes a file beside the old one, then in its place."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)
