"""The view of a command for a person: notes, bars, and an answer as it comes. Content goes to stdout,
everything else to stderr."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from ..config import in_words
from .harmless import harmless
from .trajectories import TrajectoryTable, report_lines

if TYPE_CHECKING:
    from ..llm import LLM, ChatCompletion, Completion, ExpertsState, Piece, Timings, Usage

BAR_AFTER_S = 1.0  # that the prompt is being read


def say(text: str) -> None:
    """Prints one line on stderr."""
    click.echo(f"kimi-cpu: {text}", err=True)


def warn(warnings: Iterable[str]) -> None:
    """Prints one line on stderr for each warning."""
    for warning in warnings:
        say(f"warning: {warning}")


class Display:
    """Shows one answer: push its pieces, then finish. Thinking is dimmed where there are colours."""

    def __init__(
        self, num_prompt_tokens: int, hide_thinking: bool = False, quiet: bool = False, to_stderr: bool = False
    ):
        """quiet: no text at all, only the bar. to_stderr: content goes there, too."""
        self._out = sys.stderr if to_stderr else sys.stdout
        self._hide_thinking, self._quiet, self._dim = hide_thinking, quiet, has_colours(sys.stderr)
        self._bar = _PromptBar(num_prompt_tokens) if self._dim else None
        self._trajectories = TrajectoryTable(in_place=self._dim)
        self._in_thinking = self._has_content = self._at_line_start = False

    def push(self, piece: "Piece") -> None:
        """Prints one piece. BrokenPipeError: nobody reads stdout."""
        if self._bar is not None:
            self._bar = self._bar.push(piece)
        if self._quiet:
            return
        if piece.trajectories:
            self._trajectories.show(piece.trajectories)
            return
        self._trajectories.close()
        if piece.reasoning_content and not self._hide_thinking:
            text = harmless(piece.reasoning_content, sys.stderr)
            click.echo(click.style(text, dim=True) if self._dim else text, nl=False, err=True)
            self._in_thinking = True
        if piece.content:
            self._end_thinking()
            click.echo(harmless(piece.content, self._out), nl=False, file=self._out)
            self._at_line_start = piece.content.endswith("\n")
            self._has_content = True

    def finish(self) -> None:
        """Ends the last line. May be called after any piece."""
        if self._bar is not None:
            self._bar.close()
        self._trajectories.close()
        self._end_thinking()
        if self._has_content and not self._at_line_start:
            click.echo(file=self._out)

    def _end_thinking(self) -> None:
        if self._in_thinking:
            click.echo("\n", err=True)
            self._in_thinking = False


def figures(llm: "LLM", answer: "ChatCompletion | Completion") -> list[str]:
    """Lines on what an answer took, and on how heavy mode came to it."""
    from ..llm import ChatCompletion
    from ..plan import memory_bandwidth

    if isinstance(answer, ChatCompletion) and answer.heavy is not None:
        lines = report_lines(answer.heavy)
    else:
        bandwidth = memory_bandwidth().to_compare_with
        lines = [statistics(answer.usage, answer.timings, llm.needs.token, bandwidth)]
    return [*lines[:-1], lines[-1] + from_disk(llm.experts_state())]


def statistics(usage: "Usage", timings: "Timings", token_bytes: int, bandwidth: Callable[[float], float | None]) -> str:
    """One line on the tokens that were read and generated, and the speed. token_bytes: bytes of weights that a step
    reads; bandwidth: GB/s of this machine's memory to compare a rate of reads with, None where that is not known."""
    if not usage.completion_tokens:
        return f"prompt {usage.prompt_tokens} tokens, stopped before all of it was read"
    computed = usage.prompt_tokens - usage.cached_tokens
    prefill = computed / timings.prefill_s if timings.prefill_s else 0.0
    decode = (usage.completion_tokens - 1) / timings.decode_s if timings.decode_s else 0.0
    read = timings.decode_steps * token_bytes / timings.decode_s / 1e9 if timings.decode_s else 0.0
    memory = bandwidth(read) if read else None
    share = f", {read / memory:.0%} of this machine's {memory:.0f} GB/s" if memory else ""
    return (
        f"prompt {usage.prompt_tokens} tokens ({usage.cached_tokens} cached), {prefill:.1f} tokens/s; "
        f"answer {usage.completion_tokens} tokens ({usage.reasoning_tokens} thinking), {decode:.1f} tokens/s, "
        f"{read:.1f} GB/s read{share}"
    )


def from_disk(state: "ExpertsState | None") -> str:
    """What was read from disk, after the statistics; nothing when all experts are in memory."""
    if state is None or not state.num_uses:
        return ""
    return f"; {state.num_hits / state.num_uses:.0%} of experts were in memory, {in_words(state.bytes_read)} were read"


def ending(answer: "ChatCompletion | Completion", context: int) -> str | None:
    """The reason for which an answer is cut off or empty, and what to do; None for a whole one. context: tokens that
    the model was loaded with."""
    from ..llm import ChatCompletion

    is_chat = isinstance(answer, ChatCompletion)
    is_empty = not (answer.content or answer.tool_calls) if isinstance(answer, ChatCompletion) else not answer.text
    if answer.finish_reason == "length":
        is_full = answer.usage.total_tokens >= context
        why = f"the context of {context} tokens is full (-c)" if is_full else "its limit of tokens was reached (-n)"
        if is_empty and is_chat:
            return f"the answer was cut off in its thinking: {why}; --think-budget leaves room for what comes after it."
        return f"the answer was cut off: {why}."
    if answer.stop_reason is not None:
        return "the answer was ended: it repeated itself word for word (--no-repetition-detection lets it go on)."
    if answer.finish_reason == "stop" and is_empty:
        return "the answer is empty: a stop text came first." if answer.stop_text else "the model's answer is empty."
    return None


def has_colours(stream: TextIO) -> bool:
    """Whether a stream takes colours and bars: a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int, str], None] | None]:
    """A function (bytes done, bytes in all, name of the tensor) that draws a bar; None where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = [
        TextColumn(what),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
    ]
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(what, total=None, name="")
        yield lambda done, total, name: display.update(task, completed=done, total=total, name=name)


@contextmanager
def steps(what: str, guess_s: float, power: int = 1) -> Iterator[Callable[[int, int], None]]:
    """A function (steps done, steps in all) that draws a bar on a terminal; elsewhere one line says what is done.

    guess_s, power: as TimeLeft has them.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(what)
        yield lambda done, total: None
        return
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("about {task.fields[left]} left")
    with Progress(TextColumn(what), *columns, console=console, transient=True) as display:
        left = TimeLeft(guess_s, power)
        task = display.add_task(what, total=None, left=left)

        def show(done: int, total: int) -> None:
            left.update(done, total)
            display.update(task, completed=done, total=total)

        yield show


class TimeLeft:
    """The time that steps will still take, as text when it is asked for: guessed at first, then told by their pace.

    guess_s: what all of them take. power: after a part p of the steps, (1 - p)^power of the work is left: 1 for equal
    steps, 3 for those of a warm-up, whose longest come first.
    """

    def __init__(self, guess_s: float, power: int, clock: Callable[[], float] = time.monotonic):
        """clock: seconds."""
        self._guess_s, self._power = guess_s, power
        self._clock, self._begin = clock, clock()
        self._end = self._begin + guess_s
        self._work: float | None = None  # that was left at first

    def update(self, done: int, total: int) -> None:
        """So many steps are done now. The first call says how many there were before."""
        left = (1 - done / total) ** self._power
        if self._work is None:
            self._work, self._end = left, self._begin + self._guess_s * left
        elif left < self._work:
            self._end = self._begin + (self._clock() - self._begin) * self._work / (self._work - left)

    def __str__(self) -> str:
        seconds = max(0, round(self._end - self._clock()))
        return f"{seconds // 60}:{seconds % 60:02}"


class _PromptBar:
    """A bar with the time left, shown when reading a prompt takes more than a second."""

    def __init__(self, num_prompt_tokens: int):
        self._total, self._lock, self._display = num_prompt_tokens, threading.Lock(), None
        self._is_closed = False
        self._done = 0
        self._timer = threading.Timer(BAR_AFTER_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def push(self, piece: "Piece") -> "_PromptBar | None":
        """Moves the bar on. The bar, or None when the prompt is read."""
        if piece.prompt_progress is None:
            self.close()
            return None
        with self._lock:
            self._done = piece.prompt_progress[0]
            if self._display is not None:
                self._display.update(self._task, completed=self._done)
        return self

    def close(self) -> None:
        """Takes the bar away."""
        self._timer.cancel()
        with self._lock:
            self._is_closed = True
            if self._display is not None:
                self._display.stop()
                self._display = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("reading the prompt"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with self._lock:
            if self._is_closed:
                return
            self._display = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._display.add_task("", total=self._total, completed=self._done)
            self._display.start()
