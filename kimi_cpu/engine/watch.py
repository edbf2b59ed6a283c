"""The running step as other threads see it: they may end it, and hear how far it is."""

import threading
from collections.abc import Callable

import numpy as np

from .scheduler import Scheduled

PROGRESS_S = 0.5  # a step tells of itself this often; one that is shorter does not


class StepWatch:
    """Follows one step after the other. Steps are begun and ended by one thread."""

    def __init__(
        self,
        unwanted: Callable[[list[Scheduled]], bool],
        progress: Callable[[list[Scheduled], int, int], None],
        clock: Callable[[], float],
    ):
        """unwanted: whether a step is to end. progress(step, layers done, layers): how far it is. clock: seconds."""
        self.stop = np.zeros(1, np.int64)  # see model.Watch
        self._unwanted, self._progress, self._clock = unwanted, progress, clock
        self._step: list[Scheduled] | None = None
        self._told_s = 0.0
        # Not to be set for a step that came later. The same thread may come again: collecting garbage drops handles.
        self._lock = threading.RLock()

    def begin(self, step: list[Scheduled]) -> None:
        """A step runs now."""
        with self._lock:
            self._step, self._told_s = step, self._clock()
            self.stop[0] = 0

    def __call__(self, done: int, total: int) -> bool:
        """See model.Watch."""
        now_s = self._clock()
        if done and now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            self._progress(self._step, done, total)
        return bool(self.stop[0]) or self._unwanted(self._step)

    def end(self) -> bool:
        """The step has ended; whether it was ended, so that what it gave is worthless."""
        with self._lock:
            self._step = None
            return bool(self.stop[0])

    def look(self) -> None:
        """Something changed: ends the running step if it is unwanted now. From any thread."""
        with self._lock:
            if self._step is not None and self._unwanted(self._step):
                self.stop[0] = 1
