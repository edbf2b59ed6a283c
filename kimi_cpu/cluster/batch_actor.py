"""An engine on a host that answers requests of a batch."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..batch.answers import LanguageModel
from ..batch.model import Grown
from ..llm import LLM
from . import wire
from .actor import BEAT_S, EngineActor
from .work import BatchWork, Part

GATHER_S = 0.05  # ids wait so long for others, unless an answer ends


class BatchActor(EngineActor):
    """An EngineActor that answers requests of a batch."""

    def __init__(self, work: bytes, part: Part):
        self._batch = BatchWork.unpacked(work)
        super().__init__(self._batch, part)
        self._model: LanguageModel | None = None
        self._tickets: dict[bytes, int] = {}  # of answers that run, by their keys
        self._withdrawn: set[int] = set()  # tickets of answers that have ended, or have not begun
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._lost: str | None = None

    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """See EngineActor."""
        self._model = LanguageModel(llm, self._batch.seed, self._batch.defaults, loading)
        self._model.connect(self._woken.set)
        return self._model.identity

    def start(self, data: bytes) -> None:
        """Begins an answer: wire.pack_start."""
        ticket, question, resume = wire.unpack_start(data)
        with self._lock:
            assert self._model is not None, "load comes before start"
            if ticket in self._withdrawn:  # calls of `events` and of others overtake each other
                return
            self._tickets[question.key] = ticket
            try:
                self._model.start(question, resume)
            except Exception as e:  # the host's fault, no request's
                self._end(e)

    def withdraw(self, ticket: int) -> None:
        """Ends an answer, of which nothing more is heard."""
        with self._lock:
            assert self._model is not None, "load comes before withdraw"
            keys = [key for key, own in self._tickets.items() if own == ticket]
            if not keys:
                self._withdrawn.add(ticket)
            for key in keys:
                self._model.withdraw(key)
                del self._tickets[key]

    def events(self, *starts: bytes) -> bytes:
        """Begins answers, as `start`; then waits for events, BEAT_S at most, and a little more for others to come:
        wire.pack_events or pack_lost."""
        for data in starts:
            self.start(data)
        events: list[tuple[int, wire.Event]] = []
        until_s = time.monotonic() + BEAT_S
        while self._woken.wait(max(0.0, until_s - time.monotonic())):
            self._woken.clear()
            with self._lock:
                events += self._poll()
            if self._lost is not None:
                return wire.pack_lost(self._lost)
            if any(not isinstance(event, Grown) for _, event in events):
                break
            until_s = min(until_s, time.monotonic() + GATHER_S)
        return wire.pack_events(gathered(events))

    def _poll(self) -> list[tuple[int, wire.Event]]:
        assert self._model is not None, "load comes before events"
        try:
            events = self._model.poll()
        except Exception as e:
            self._end(e)
            return []
        told = [(self._tickets[event.key], event) for event in events]
        for event in events:
            if not isinstance(event, Grown):
                del self._tickets[event.key]
        return told

    def _end(self, error: BaseException) -> None:
        self._lost = str(error) or type(error).__name__
        self._woken.set()


def gathered(events: Iterable[tuple[int, wire.Event]]) -> list[tuple[int, wire.Event]]:
    """Events with their tickets, of which each answer has one for all of its new ids: they come first."""
    grown: dict[int, Grown] = {}
    ends: list[tuple[int, wire.Event]] = []
    for ticket, event in events:
        if not isinstance(event, Grown):
            ends.append((ticket, event))
        elif (before := grown.get(ticket)) is None:
            grown[ticket] = event
        else:
            grown[ticket] = event._replace(ids=[*before.ids, *event.ids])
    return [*grown.items(), *ends]
