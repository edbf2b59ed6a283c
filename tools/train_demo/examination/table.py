"""The examination's results as a table."""

from typing import Any

from .judge import Verdict
from .sitting import KINDS


def table(figures: dict[str, Any]) -> str:
    """Markdown of what evaluate keeps of an examination: figures has the counts of Verdict by kind."""
    kinds: dict[str, dict[str, int]] = figures["kinds"]
    names = list(Verdict)
    total = {name: sum(counts[name] for counts in kinds.values()) for name in names}
    lines = ["| questions | | " + " | ".join(names) + " | |", "|---|---:|" + "---:|" * len(names) + "---|"]
    for kind, counts in (*kinds.items(), ("all", total)):
        cells = " | ".join(str(counts[name]) for name in names)
        lines.append(f"| {kind} | {sum(counts.values())} | {cells} | {KINDS.get(kind, '')} |")
    good = 1 - total[Verdict.WRONG] / sum(total.values())
    return "\n".join(lines) + f"\n\nRight or rightly declined: {good:.1%}."
