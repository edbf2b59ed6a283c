"""Ctrl-C: the first one stops an answer and keeps it, a second one leaves."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_interrupt(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Calls stop() at the first Ctrl-C; the next raises KeyboardInterrupt. Yields a function: whether there was one."""
    interrupted = False

    def handle(signum, frame):
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, before)
