"""Simulated time: what happens next, and who is busy until when."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

Action = Callable[[], None]


class Clock:
    """Does what was planned, in the order of its time; at the same time, in the order in which it was planned."""

    def __init__(self):
        self.now_s = 0.0
        self._planned: list[tuple[float, int, Action]] = []
        self._number = count()

    def at(self, time_s: float, action: Action) -> None:
        """Plans an action for a time, which may not lie in the past."""
        heapq.heappush(self._planned, (time_s, next(self._number), action))

    def run(self, until_s: float) -> float:
        """Lets time pass, to until_s or until nothing is planned. Returns the time."""
        while self._planned and self._planned[0][0] <= until_s:
            self.now_s, _, action = heapq.heappop(self._planned)
            action()
        if self._planned:
            self.now_s = until_s
        return self.now_s


class Span(NamedTuple):
    """Seconds in which a station was busy, and for whom."""

    begin_s: float
    end_s: float
    owner: int


class Station:
    """Does one thing after the other, in the order in which they come. `spans`: when it was busy."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._free_s = 0.0
        self.spans: list[Span] = []

    def take(self, seconds: float, owner: int) -> float:
        """The time at which something is done that comes now and takes so many seconds."""
        begin_s = max(self._clock.now_s, self._free_s)
        self._free_s = begin_s + seconds
        self.spans.append(Span(begin_s, self._free_s, owner))
        return self._free_s

    def close(self, until_s: float) -> None:
        """Drops all that is not done, and begins nothing before a time."""
        now_s = self._clock.now_s
        while self.spans and self.spans[-1].end_s > now_s:
            span = self.spans.pop()
            if span.begin_s < now_s:
                self.spans.append(span._replace(end_s=now_s))
                break
        self._free_s = until_s

    def busy_s(self, until_s: float) -> float:
        """Seconds of work up to a time."""
        return sum(min(span.end_s, until_s) - span.begin_s for span in self.spans if span.begin_s < until_s)
