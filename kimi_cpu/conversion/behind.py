"""Giving memory back: what was read of a checkpoint would stay mapped, and cached, until all memory is full of it."""

import threading

from .jobs import Origin, Part
from .source import Source

GIVE_BACK_BYTES = 256 << 20  # of parts, between two times


class Behind:
    """The pages behind the readers of a source, for several threads."""

    def __init__(self, source: Source):
        self._source = source
        self._origins: list[Origin] = []
        self._nbytes = 0
        self._lock = threading.Lock()

    def done(self, part: Part) -> None:
        """A part is packed: what it was made from is not read again soon."""
        if not isinstance(part.origin, Origin):
            return
        with self._lock:
            self._origins.append(part.origin)
            self._nbytes += part.nbytes
            if self._nbytes < GIVE_BACK_BYTES:
                return
            origins, self._origins, self._nbytes = self._origins, [], 0
        self._source.give_back([(origin.module, *origin.span) for origin in origins])
