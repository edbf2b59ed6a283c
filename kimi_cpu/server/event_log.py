"""The events of a run, kept as long as the run, for any number of readers, who may come late."""

import asyncio
from collections.abc import AsyncIterator

from .events import DONE


class EventLog:
    """Server-sent events, numbered from 0. A reader gets all events from a number on, those to come as well."""

    def __init__(self):
        self._is_closed = False
        self._events: list[bytes | None] = []
        self._pieces: list[int] = []  # numbers of events that the next record says again
        self._news = asyncio.Event()

    def add(self, event: bytes, is_piece: bool = False) -> None:
        """Adds an event, which gets its number as id. is_piece: readers who come after the next event that is none do
        not get it."""
        if self._is_closed:
            return
        number = len(self._events)
        if is_piece:
            self._pieces.append(number)
        else:
            for piece in self._pieces:
                self._events[piece] = None
            self._pieces.clear()
        self._events.append(b"id: %d\n" % number + event)
        self._wake()

    def close(self) -> None:
        """Ends the log, and with it all readers once they have read the rest."""
        self._is_closed = True
        self._wake()

    async def read(self, start: int = 0) -> AsyncIterator[bytes]:
        """Events from a number on, until the log is closed."""
        while True:
            while start < len(self._events):
                event = self._events[start]
                start += 1
                if event is not None:
                    yield event
            if self._is_closed:
                yield DONE
                return
            await self._news.wait()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
