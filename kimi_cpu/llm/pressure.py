"""Looks after memory while a model is loaded: experts leave when there is too little, and the program is told."""

import logging
import threading
import time
from collections.abc import Callable

from ..machine import spare_memory, stalled_s
from .loading import WeightsMemory
from .options import OnPressure

log = logging.getLogger(__name__)
LOOK_S = 1.0  # between two looks, which take 2 ms
TELL_S = 10.0  # between two calls of a program that is told of a shortage that lasts


class MemoryWatch:
    """A thread that looks how much memory is left."""

    def __init__(
        self, post: Callable[[Callable[[], object]], object], weights: WeightsMemory, on_pressure: OnPressure | None
    ):
        """post: has a function called between two steps. on_pressure: called from this thread while memory is missing
        that the weights cannot give back; what it raises is logged."""
        self._post, self._weights, self._on_pressure = post, weights, on_pressure
        self._closed = threading.Event()
        self._told_s = -TELL_S
        threading.Thread(target=self._run, name="kimi-cpu memory", daemon=True).start()

    def close(self) -> None:
        """Ends the thread, within a look."""
        self._closed.set()

    def _run(self) -> None:
        looked_s, stalled = time.monotonic(), stalled_s()
        while not self._closed.wait(LOOK_S):
            before_s, before = looked_s, stalled
            looked_s, stalled = time.monotonic(), stalled_s()
            missing = self._weights.look(looked_s, spare_memory(), (stalled - before) / (looked_s - before_s))
            if self._weights.is_unsettled:
                self._post(self._weights.settle)
            self._tell(looked_s, missing)

    def _tell(self, now_s: float, missing: int) -> None:
        if missing and self._on_pressure is not None and now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            try:
                self._on_pressure(missing)
            except Exception:
                log.exception("on_pressure failed")
