"""Heavy mode for a person: how far each trajectory is, and how the answer came of them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .harmless import harmless

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from ..llm import HeavyReport, Trajectory

SHOWN_CHARS = 60  # of an answer


class TrajectoryTable:
    """A table of the trajectories on stderr, which changes in place. Where that is no terminal, a line for each that
    has ended."""

    def __init__(self, in_place: bool):
        self._in_place = in_place
        self._live: Live | None = None
        self._ended: set[int] = set()

    def show(self, trajectories: "Sequence[Trajectory]") -> None:
        """Shows how far they are now."""
        if self._in_place:
            table = _table(trajectories)
            if self._live is None:
                from rich.console import Console
                from rich.live import Live

                self._live = Live(table, console=Console(stderr=True), transient=True)
                self._live.start()
            self._live.update(table)
            return
        for number, one in enumerate(trajectories, 1):
            if one.state != "running" and number not in self._ended:
                self._ended.add(number)
                click.echo(f"trajectory {number} of {len(trajectories)}, {_words(one)}", err=True)

    def close(self) -> None:
        """Takes the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def report_lines(report: "HeavyReport") -> list[str]:
    """The votes, and what the trajectories and the reflection on them took."""
    voted = sum(count for _, count in report.votes)
    votes = "; ".join(f"{count} for {_short(answer)}" for answer, count in report.votes) or "none"
    lines = [f"heavy: {voted} of {len(report.trajectories)} trajectories voted: {votes}"]
    tokens = sum(one.tokens for one in report.trajectories)
    took = f"trajectories {tokens} tokens, {report.trajectories_s:.1f} s"
    if report.aggregation is not None:
        took += f"; aggregation {report.aggregation.completion_tokens} tokens, {report.aggregation_s:.1f} s"
    by = {"aggregation": "the aggregation's", "majority": "the majority's", "none": "the first trajectory's"}
    return [*lines, f"{took}; the answer is {by[report.by]}"]


def _table(trajectories: "Sequence[Trajectory]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for number, one in enumerate(trajectories, 1):
        table.add_row(str(number), one.state, f"{one.tokens} tokens", Text(_short(one.answer or "")))
    return table


def _words(one: "Trajectory") -> str:
    said = f": {_short(one.answer)}" if one.answer else ""
    return f"{one.state}, {one.tokens} tokens{said}"


def _short(text: str) -> str:
    """A text in a line that no control character leaves."""
    line = " ".join(text.split())
    return harmless(line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 1] + "…", sys.stderr)
