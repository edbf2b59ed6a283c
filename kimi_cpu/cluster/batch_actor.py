"""An engine on a host that answers requests of a batch."""

import threading
from collections.abc import Mapping
from typing import Any

from ..batch.answers import LanguageModel
from ..batch.model import Grown
from ..llm import LLM
from . import wire
from .actor import EngineActor
from .work import BatchWork, Part

GATHER_S = 0.05  # of an answer's time this is little, and of a message's CPU time


class BatchActor(EngineActor):
    """An EngineActor that answers requests of a batch."""

    gather_s = GATHER_S

    def __init__(self, work: bytes, part: Part):
        self._batch = BatchWork.unpacked(work)
        super().__init__(self._batch, part)
        self._model: LanguageModel | None = None
        self._tickets: dict[bytes, int] = {}  # of answers that run, by their keys
        self._lock = threading.Lock()

    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """See EngineActor."""
        self._model = LanguageModel(llm, self._batch.seed, self._batch.defaults, loading)
        self._model.connect(self.wake)
        return self._model.identity

    def take(self, message: list[Any]) -> None:
        """See EngineActor."""
        order = wire.order_of(message)
        with self._lock:
            if isinstance(order, wire.Start):
                self._tickets[order.question.key] = order.ticket
                self.model.start(order.question, order.resume)
            else:
                for key in [key for key, ticket in self._tickets.items() if ticket == order]:
                    self.model.withdraw(key)
                    del self._tickets[key]

    def told(self) -> bytes:
        """See EngineActor: wire.pack_events."""
        with self._lock:
            events = self.model.poll()
            told = [(self._tickets[event.key], event) for event in events]
            for event in events:
                if not isinstance(event, Grown):
                    del self._tickets[event.key]
        return wire.pack_events(told)

    @property
    def model(self) -> LanguageModel:
        """The model that is loaded."""
        assert self._model is not None, "load comes first"
        return self._model
