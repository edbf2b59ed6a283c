"""Draws the results of benchmarks/engine.py into docs/performance: a picture for each results-engine-<tier>.json.

    python benchmarks/plots.py [--results FOLDER] [--out FOLDER]

On the left every row beside the peers, as a multiple of the fastest one's tokens a second; on the right the share of
what the machine allows in the same seconds: of the reader's bytes a second, or of the multipliers' multiply-adds.
Needs matplotlib (the extra "plots").
"""

import argparse
from pathlib import Path

import matplotlib
import results
from results import OURS

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.patches import Patch

HERE = Path(__file__).parent
OUT = HERE.parent / "docs" / "performance"
COLORS = {True: ("#1f5fa8", "#82b4e6"), False: ("#c8641e", "#e0a040", "#9a9a9a", "#5c7f4a")}  # ours, the peers'
HEIGHT = 0.8  # of a row's bars together
MOST = 2.5  # times the fastest peer: longer bars are cut, as their numbers stand beside them


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    sources = sorted(args.results.glob("results-engine-*.json"))
    if not sources:
        raise SystemExit(f"{args.results} has no results-engine-*.json; benchmarks/engine.py --write makes them")
    args.out.mkdir(parents=True, exist_ok=True)
    for source in sources:
        path = args.out / f"{source.stem.removeprefix('results-')}.svg"
        draw(results.load(source), path)
        print(path)


def draw(runs: list[dict], path: Path) -> None:
    """One tier's picture."""
    rows, engines = results.by_row(runs), results.engines_of(runs)
    style = {"svg.fonttype": "none", "svg.hashsalt": path.stem, "font.family": "sans-serif", "font.size": 9}
    with pyplot.rc_context(style):
        figure, (peers, bounds) = pyplot.subplots(
            1, 2, sharey=True, figsize=(10, 0.9 + 0.17 * len(rows) * len(engines))
        )
        labels = []
        for number, ((threads, row), those) in enumerate(rows.items()):
            shares = {engine: share for engine in engines if (share := results.share(those, engine))}
            best = results.best_peer(those)
            unit = shares[best].rate if best else max(share.rate for share in shares.values())
            height = HEIGHT / len(shares)
            for place, (engine, share) in enumerate(shares.items()):
                y, color = number - HEIGHT / 2 + height * (place + 0.5), _color(engines, engine)
                length = min(share.rate / unit, MOST)
                peers.barh(y, length, height, color=color)
                peers.text(length, y, f" {share.rate:.1f}", va="center", fontsize=7)
                bounds.barh(y, 100 * share.share, height, color=color)
            bound = next(iter(shares.values())).bound
            labels.append(f"{row}\n{threads} thread{'s' * (threads > 1)}, {bound}")
        peers.set_yticks(range(len(rows)), labels)
        peers.set_ylim(len(rows) - 0.4, -0.6)
        for axes, at, title in ((peers, 1, "tokens/s, the fastest peer = 1"), (bounds, 100, "% of the bound")):
            axes.axvline(at, color="black", linewidth=0.8)
            axes.set_title(title, fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
        handles = [Patch(color=_color(engines, engine), label=engine) for engine in engines]
        figure.legend(handles=handles, loc="lower center", ncols=len(engines), frameon=False)
        facts = runs[-1]["machine"]
        figure.suptitle(f"{facts['cpu']}, {facts['cores']} cores, {runs[-1]['isa']}", fontsize=10)
        figure.tight_layout(rect=(0, 0.35 / figure.get_figheight(), 1, 1))
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _color(engines: list[str], engine: str) -> str:
    """The same for an engine in every row."""
    ours = engine.startswith(OURS)
    kin = [name for name in engines if name.startswith(OURS) == ours]
    return COLORS[ours][kin.index(engine) % len(COLORS[ours])]


if __name__ == "__main__":
    main()
