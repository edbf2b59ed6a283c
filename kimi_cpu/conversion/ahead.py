"""Reading ahead: the system is asked for the parts that are next while others are packed."""

import threading

from .jobs import Origin, Part
from .source import Source


class ReadAhead:
    """The parts of a conversion in the order in which they are packed, for several threads."""

    def __init__(self, source: Source, parts: list[Part], distance: int):
        """distance: how many parts are asked for ahead of the one that is packed."""
        self._source, self._parts, self._distance = source, parts, distance
        self._next = 0
        self._lock = threading.Lock()

    def at(self, index: int) -> None:
        """Part `index` is packed now."""
        with self._lock:
            begin, end = max(self._next, index), min(index + 1 + self._distance, len(self._parts))
            self._next = max(begin, end)
        for part in self._parts[begin:end]:
            if isinstance(part.origin, Origin):
                self._source.prefetch(part.origin.module, *part.origin.span)
