"""An engine on another host, as the pool of a batch sees it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import count
from typing import Any

from ..batch.model import Grown, Lost
from ..batch.source import Question
from . import wire


class RemoteModel:
    """A model.Model whose answers come from an actor of Ray. is_lost: it has raised Lost."""

    def __init__(self, host: str, actor: Any, identity: dict[str, str]):
        """host: as messages name it. actor: Ray's handle of an EngineActor that is loaded."""
        self.identity = identity
        self._host, self._actor = host, actor
        self.is_lost = False
        self._new_tickets = count()
        self._keys: dict[int, bytes] = {}  # of answers that run, by their tickets
        self._tickets: dict[bytes, int] = {}  # and the other way round
        self._wake: Callable[[], None] = lambda: None
        self._reply: Future[bytes] | None = None  # of the call for events that is under way
        self._due: list[tuple[int, bytes]] = []  # tickets and requests that go with the next one

    def connect(self, wake: Callable[[], None]) -> None:
        """See model.Model."""
        self._wake = wake
        self._listen()

    def start(self, question: Question, resume: Sequence[int]) -> None:
        """See model.Model."""
        ticket = next(self._new_tickets)
        self._keys[ticket], self._tickets[question.key] = question.key, ticket
        request = wire.pack_start(ticket, question, resume)
        if self._reply is None:
            self._due.append((ticket, request))
        else:
            self._actor.start.remote(request)

    def poll(self) -> list[wire.Event]:
        """See model.Model. After the end of an answer the next call for events waits until others have been begun: it
        takes them along, as a call costs more than all that a request has to say."""
        if self._reply is None:
            self._listen()
            return []
        if not self._reply.done():
            return []
        try:
            events = wire.unpack_events(self._reply.result(), self._keys)
        except Exception as e:  # Ray has many, and all of them say that nothing more will come
            self.is_lost = True
            why = f" It said: {e}" if isinstance(e, Lost) else ""
            raise Lost(f"The engine on {self._host} is gone.{why}") from e
        ended = [event.key for event in events if not isinstance(event, Grown)]
        for key in ended:
            del self._keys[self._tickets.pop(key)]
        if ended:
            self._reply = None
            self._wake()
        else:
            self._listen()
        return events

    def withdraw(self, key: bytes) -> None:
        """See model.Model."""
        ticket = self._tickets.pop(key, None)
        if ticket is not None:
            del self._keys[ticket]
            left = [(due, request) for due, request in self._due if due != ticket]
            if len(left) == len(self._due):
                self._actor.withdraw.remote(ticket)
            self._due = left

    def cancel(self) -> None:
        """See model.Model."""
        for key in list(self._tickets):
            self.withdraw(key)

    def _listen(self) -> None:
        requests, self._due = [request for _, request in self._due], []
        reply = self._reply = self._actor.events.options(concurrency_group="events").remote(*requests).future()
        reply.add_done_callback(lambda _: self._wake())
