"""An engine on another host, as the pool of a batch sees it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue

from ..batch.model import Grown, Lost
from ..batch.source import Question
from . import wire
from .batch_actor import GATHER_S
from .channel import Channel


class RemoteModel:
    """A model.Model whose answers come over a channel. is_lost: it has raised Lost."""

    lag_s = 2 * GATHER_S

    def __init__(self, host: str, channel: Channel, identity: dict[str, str]):
        """host: as messages name it. channel: to an engine that is loaded."""
        self.identity = identity
        self._host, self._channel = host, channel
        self.is_lost = False
        self._why: str | None = None  # nothing more comes
        self._new_tickets = count()
        self._keys: dict[int, bytes] = {}  # of answers that run, by their tickets
        self._tickets: dict[bytes, int] = {}  # and the other way round
        self._came: SimpleQueue[bytes | None] = SimpleQueue()  # None: the engine is gone
        self._wake: Callable[[], None] = lambda: None

    def connect(self, wake: Callable[[], None]) -> None:
        """See model.Model."""
        self._wake = wake
        self._channel.open(self._hear, lambda: self._hear(None))

    def start(self, question: Question, resume: Sequence[int]) -> None:
        """See model.Model."""
        ticket = next(self._new_tickets)
        self._keys[ticket], self._tickets[question.key] = question.key, ticket
        self._channel.send(wire.pack_start(wire.Start(ticket, question, resume)))

    def poll(self) -> list[wire.Event]:
        """See model.Model."""
        events: list[wire.Event] = []
        with suppress(Empty):
            while self._why is None:
                events += self._read(self._came.get_nowait())
        if self._why is not None:
            if not events:
                self.is_lost = True
                self._channel.close()
                raise Lost(f"The engine on {self._host} is gone.{self._why}")
            self._wake()  # Lost when these are taken
        return events

    def withdraw(self, key: bytes) -> None:
        """See model.Model."""
        ticket = self._tickets.pop(key, None)
        if ticket is not None:
            del self._keys[ticket]
            self._channel.send(wire.pack_withdrawal(ticket))

    def cancel(self) -> None:
        """See model.Model."""
        for key in list(self._tickets):
            self.withdraw(key)

    def _hear(self, message: bytes | None) -> None:
        self._came.put(message)
        self._wake()

    def _read(self, message: bytes | None) -> list[wire.Event]:
        """The events of a message, or why there are no more."""
        if message is None:
            self._why = ""
            return []
        try:
            events = wire.unpack_events(message, self._keys)
        except Lost as e:
            self._why = f" It said: {e}"
            return []
        for event in events:
            if not isinstance(event, Grown):
                del self._keys[self._tickets.pop(event.key)]
        return events
