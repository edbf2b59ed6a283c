"""An engine on another host, as the front of a server uses it."""

import threading
import time
from concurrent.futures import Future
from typing import Any, Protocol

from ..batch.model import Lost
from ..engine import EngineState, Request
from ..llm import ExpertsState
from . import replica_wire
from .placement import Known
from .replica_wire import Output

SILENT_S = 10.0  # in which an engine that can be reached has said something several times


class Owner(Protocol):
    """Hears of a replica, on a thread of the replica's own."""

    def heard(self, replica: "Replica", outputs: list[Output]) -> None:
        """Outputs came."""

    def silent(self, replica: "Replica") -> None:
        """It has said nothing for SILENT_S; it may yet."""

    def lost(self, replica: "Replica", why: str) -> None:
        """It is gone, with all that it had not told of."""


class Replica:
    """See the module. host: as messages name it. is_lost: nothing more comes of it. known: what it has computed.
    num_open: requests that run or wait there, by their owner. heard_s: when it last said something. state, experts: as
    it last said."""

    def __init__(self, host: str, actor: Any, identity: dict[str, str]):
        """actor: Ray's handle of a ReplicaActor that is loaded."""
        self.host, self.context = host, int(identity["context"])
        self.is_lost, self.known, self.num_open = False, Known(), 0
        self.state = EngineState(0, 0, 0, 0)
        self.experts: ExpertsState | None = None
        self.heard_s = time.monotonic()
        self._actor = actor

    def connect(self, owner: Owner) -> None:
        """Comes first: from now on the owner hears of it."""
        threading.Thread(target=self._listen, args=(owner,), name=f"kimi-cpu {self.host}", daemon=True).start()

    def start(self, ticket: int, request: Request, parent: int | None) -> None:
        """Begins a request, from the ids of its answer that are known. parent: see replica_wire.Order."""
        self._actor.start.remote(replica_wire.pack_request(ticket, request, parent))

    def abort(self, ticket: int) -> None:
        """Ends a request."""
        self._actor.abort.remote(ticket)

    def end_thinking(self, ticket: int) -> None:
        """Lets the thinking of an answer end."""
        self._actor.end_thinking.remote(ticket)

    def _listen(self, owner: Owner) -> None:
        events = self._actor.events.options(concurrency_group="events")
        while True:
            try:
                told = replica_wire.unpack_outputs(self._wait(events.remote().future(), owner))
            except Exception as e:  # Ray has many, and all of them say that nothing more will come
                self.is_lost = True
                owner.lost(self, f" It said: {e}" if isinstance(e, Lost) else "")
                return
            self.heard_s, self.state, self.experts = time.monotonic(), told.state, told.experts
            owner.heard(self, told.outputs)

    def _wait(self, reply: Future[bytes], owner: Owner) -> bytes:
        try:
            return reply.result(SILENT_S)
        except TimeoutError:
            owner.silent(self)
        return reply.result()
