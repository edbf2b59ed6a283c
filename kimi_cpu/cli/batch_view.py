"""How far a batch is: a bar on a terminal, a line now and then elsewhere; on stderr."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from ..batch import Progress

RATE_S = 60.0  # rates are those of the last minute
LINE_S = 30.0  # between lines where there is no terminal


@contextmanager
def view() -> Iterator[Callable[[Progress], None]]:
    """A function that shows how far a run is."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console, rates = Console(stderr=True), Rates()
    if not console.is_terminal:
        lines = Lines(console.print, rates)
        yield lines.show
        lines.last()
        return
    with Bar(BarColumn(), TextColumn("{task.description}"), console=console) as display:
        task = display.add_task("reading", total=None)

        def show(progress: Progress) -> None:
            display.update(
                task,
                completed=progress.num_done,
                total=progress.num_expected or None,
                description=rates.sentence(progress),
            )

        yield show


class Lines:
    """A sentence every half minute, and one at the end."""

    def __init__(self, write: Callable[..., None], rates: "Rates"):
        self._write, self._rates = write, rates
        self._shown_at = time.monotonic()
        self._sentence = ""

    def show(self, progress: Progress) -> None:
        """How far the run is now."""
        self._sentence = self._rates.sentence(progress)
        if time.monotonic() - self._shown_at >= LINE_S:
            self._shown_at = time.monotonic()
            self.last()

    def last(self) -> None:
        """How far it was when it was last shown."""
        if self._sentence:
            self._write(f"kimi-cpu: {self._sentence}", highlight=False, soft_wrap=True)


class Rates:
    """Requests, tokens a second in and out, cache hits and the time left, from what a run was in the last minute."""

    def __init__(self):
        self._past: deque[Progress] = deque()

    def sentence(self, progress: Progress) -> str:
        """All of it in a line."""
        self._past.append(progress)
        while len(self._past) > 2 and progress.seconds - self._past[1].seconds > RATE_S:
            self._past.popleft()
        first, tally = self._past[0], progress.tally
        seconds = max(progress.seconds - first.seconds, 1e-9)
        prompt = (tally.tokens.prompt - first.tally.tokens.prompt) / seconds
        generated = (tally.num_generated - first.tally.num_generated) / seconds
        about = "" if progress.read_bytes == progress.input_bytes else "about "
        parts = [f"{progress.num_done:,} of {about}{progress.num_expected:,} requests"]
        parts += [f"{progress.num_failed:,} failed"] if progress.num_failed else []
        parts += [_cut_off(tally.num_cut, tally.num_cut_empty)] if tally.num_cut else []
        parts += [f"{prompt:.1f} tokens/s in, {generated:.1f} out", f"{tally.num_running} running"]
        if tally.tokens.prompt:
            parts.append(f"{100 * tally.tokens.cached / tally.tokens.prompt:.0f} % of the prompts cached")
        left = progress.num_expected - progress.num_done
        done = progress.num_done - first.num_done
        if left > 0 and done > 0:
            parts.append(f"{timedelta(seconds=round(left * seconds / done))} left")
        return ", ".join(parts)


def _cut_off(num_cut: int, num_empty: int) -> str:
    """How many answers ended at their limit of tokens."""
    thinking = (
        f", {num_empty:,} of them in their thinking (--think-budget leaves room for an answer)" if num_empty else ""
    )
    return f"{num_cut:,} cut off at -n or the context's end{thinking}"
