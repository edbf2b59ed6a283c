"""A run of an agent for the person at a terminal: what happens is shown, and what they must decide is asked."""

import json
import sys

import click

from ..agent import Call, Outcome, Reply, Tool, Watch
from ..agent.consent import Consent
from ..agent.records import Answered, Called, Record, Returned, Shortened, Summarised, Told, line_of
from ..errors import Interrupted
from ..llm import Piece, Trajectory
from ..llm.openai import heavy_object
from .display import Display, has_colours, say
from .harmless import harmless
from .interrupts import CTRL_C
from .trajectories import TrajectoryTable, report_lines

FOLDED_LINES = 8  # of a result
FOLDED_CHARS = 600
PAUSED = "Paused. Enter goes on; a text is told to the model; /answer has it answer now; /leave leaves."


class Terminal(Watch):
    """Shows a run on stderr, or as lines of JSON on stdout, and asks on the terminal.

    signal: the name of the one that paused the run, until it goes on.
    """

    def __init__(self, quiet: bool, as_json: bool, hide_thinking: bool, unfinished: str, consent: Consent):
        """quiet: the answer alone is shown. unfinished: "ask", "again" or "skip", see Watch.unfinished."""
        self._consent = consent
        self._quiet, self._as_json, self._hide_thinking = quiet or as_json, as_json, hide_thinking
        self._has_figures = not quiet
        self._unfinished = unfinished
        self._colours = has_colours(sys.stderr)
        self._display: Display | None = None
        self._table = TrajectoryTable(in_place=self._colours)
        self.signal: str | None = None

    def piece(self, piece: Piece) -> None:
        """Shows it as it comes."""
        if self._as_json and (piece.content or piece.reasoning_content):
            text = {"content": piece.content, "reasoning_content": piece.reasoning_content}
            click.echo(json.dumps({"kind": "piece"} | text, ensure_ascii=False))
        self._table.close()
        if self._display is None:
            self._display = Display(piece.prompt_tokens, self._hide_thinking, self._quiet, to_stderr=True)
        self._display.push(piece)

    def record(self, record: Record) -> None:
        """Shows what happened: calls and the beginnings of their results, and what becomes of the context."""
        if isinstance(record, Answered):
            self.end_turn()
        if self._as_json:
            click.echo(line_of(record), nl=False)
        if self._quiet:
            return
        if isinstance(record, Called):
            self._line(f"→ {record.call} {record.name}({record.arguments})", "cyan")
        elif isinstance(record, Returned):
            colour = "green" if record.status == "done" else "red"
            self._line(f"← {record.call} {record.status}, {record.seconds:.1f} s", colour)
            self._line(_folded(record.content))
        elif isinstance(record, Told) and record.by == "program":
            self._line(_folded(record.content), "yellow")
        elif isinstance(record, Shortened):
            self._line(f"Old results are shortened, as the context is nearly full ({len(record.calls)}).", "yellow")
        elif isinstance(record, Summarised):
            self._line("A summary takes the place of old turns, as the context is nearly full:", "yellow")
            self._line(_folded(record.content))

    def trajectories(self, trajectories: tuple[Trajectory, ...]) -> None:
        """Shows how far each is."""
        if not self._quiet:
            self._table.show(trajectories)

    def notice(self, text: str) -> None:
        """A line on stderr."""
        say(text)

    def offers(self, tool: Tool) -> bool:
        """As far as it is allowed, or asked about."""
        return self._consent.offers(tool)

    def approve(self, call: Call, tool: Tool) -> bool:
        """As told on the command line, or as answered now; where nobody can be asked, no."""
        if self._consent.covers(tool):
            return True
        if not self._consent.ask or not sys.stdin.isatty():
            return False
        self.end_turn()
        what = harmless(f"{call.name}({call.arguments})", sys.stderr)
        choice = click.Choice(["y", "n", "always"])
        said = click.prompt(f"May it call {what}?", type=choice, default="n", err=True)
        if said == "always":
            self._consent.allow(call.name)
        return said != "n"

    def paused(self) -> Reply:
        """Asks how to go on; after another signal than Ctrl-C, or where nobody can be asked, the run is left."""
        self.end_turn()
        name, self.signal = self.signal, None
        if name != CTRL_C or not sys.stdin.isatty():
            return Reply(leave=True)
        try:
            said = click.prompt(PAUSED, default="", show_default=False, err=True).strip()
        except click.Abort:
            return Reply(leave=True)
        if said in ("/answer", "/leave"):
            return Reply(answer_now=said == "/answer", leave=said == "/leave")
        return Reply(tell=said or None)

    def unfinished(self, call: Call, tool: Tool | None) -> bool:
        """As told on the command line, or as answered now. Interrupted: nobody can be asked."""
        if self._unfinished != "ask" and tool is not None:
            return self._unfinished == "again"
        what = f"The call {call.name}({call.arguments}) had begun when the run was stopped"
        if not sys.stdin.isatty():
            raise Interrupted(
                f"{what}, and may have been carried out or not. With --unfinished again it is made again, "
                "with --unfinished skip the model is told so."
            )
        return click.confirm(f"{what}. Make it again?", default=False, err=True)

    def end_turn(self) -> None:
        """Ends the lines of a turn. May be called at any time."""
        self._table.close()
        if self._display is not None:
            self._display.finish()
            self._display = None

    def show_outcome(self, outcome: Outcome) -> None:
        """The answer, where it has not just been seen; a line of figures; and why the answer is early or missing."""
        is_seen = not self._quiet and outcome.heavy is None and sys.stdout.isatty() and sys.stderr.isatty()
        if outcome.content is not None and not is_seen and not self._as_json:
            click.echo(harmless(outcome.content, sys.stdout))
        if outcome.heavy is not None and self._as_json:
            click.echo(json.dumps({"kind": "heavy"} | heavy_object(outcome.heavy)["heavy"], ensure_ascii=False))
        if self._has_figures:
            figures = (
                f"{outcome.steps} steps, {outcome.calls} calls; {outcome.computed_tokens} tokens read, "
                f"{outcome.generated_tokens} generated, {outcome.seconds:.1f} s"
            )
            for line in [*([] if outcome.heavy is None else report_lines(outcome.heavy)), figures]:
                say(line)
        if outcome.reason != "answered":
            say(f"the answer came early: {outcome.reason}." if outcome.content else f"no answer: {outcome.reason}.")

    def _line(self, text: str, colour: str | None = None) -> None:
        self._table.close()
        text = harmless(text, sys.stderr)
        if self._colours:
            text = click.style(text, fg=colour, dim=colour is None)
        click.echo(text, err=True)


def _folded(text: str) -> str:
    """The beginning of a text, and how much is left out."""
    lines = text[:FOLDED_CHARS].splitlines()[:FOLDED_LINES]
    shown = "\n".join(lines)
    left = len(text) - len(shown)
    return shown if left <= 1 else f"{shown}\n… {left:,} more characters"
