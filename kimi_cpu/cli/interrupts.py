"""Signals that end a command early: Ctrl-C, SIGTERM, and SIGHUP, which a terminal sends when it closes."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

CTRL_C = "Ctrl-C"


def endings() -> tuple[int, ...]:
    """SIGTERM, and SIGHUP unless nohup has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGHUP) if hangs_up else (signal.SIGTERM,)


@contextmanager
def on_signals(numbers: Iterable[int], handle: Callable[[str], None]) -> Iterator[None]:
    """Calls handle() with the name of each of the signals. A terminal that hung up is let go first, as writing to it is
    an error."""
    terminals = [descriptor for descriptor in range(3) if os.isatty(descriptor)]

    def on_signal(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in terminals:
                os.dup2(nowhere, descriptor)
        handle(CTRL_C if number == signal.SIGINT else signal.Signals(number).name)

    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def first_interrupt(stop: Callable[[], None]) -> Iterator[Callable[[], str | None]]:
    """Calls stop() at the first signal that ends a command; Ctrl-C after it raises KeyboardInterrupt. Yields a function
    that returns the first signal's name."""
    reason = None

    def handle(name: str) -> None:
        nonlocal reason
        if reason is not None and name == CTRL_C:
            raise KeyboardInterrupt
        reason = reason or name
        stop()

    with on_signals((*endings(), signal.SIGINT), handle):
        yield lambda: reason
