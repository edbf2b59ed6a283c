"""An engine on another host, as the front of a server uses it."""

import time
from functools import partial
from typing import Protocol

from ..batch.model import Lost
from ..engine import EngineState, Request
from ..llm import ExpertsState
from . import replica_wire
from .channel import Channel
from .placement import Known
from .replica_wire import Output


class Owner(Protocol):
    """Hears of a replica, on a thread of the replica's own."""

    def heard(self, replica: "Replica", outputs: list[Output]) -> None:
        """Outputs came."""

    def silent(self, replica: "Replica") -> None:
        """It has said nothing for channel.SILENT_S; it may yet."""

    def lost(self, replica: "Replica", why: str) -> None:
        """It is gone, with all that it had not told of."""


class Replica:
    """See the module. host: as messages name it. is_lost: nothing more comes of it. known: what it has computed.
    num_open: requests that run or wait there, by their owner. heard_s: when it last said something. state, experts: as
    it last said."""

    def __init__(self, host: str, channel: Channel, identity: dict[str, str]):
        """channel: to a ReplicaActor that is loaded."""
        self.host, self.context = host, int(identity["context"])
        self.is_lost, self.known, self.num_open = False, Known(), 0
        self.state = EngineState(0, 0, 0, 0)
        self.experts: ExpertsState | None = None
        self.heard_s = time.monotonic()
        self._channel, self._why = channel, ""

    def connect(self, owner: Owner) -> None:
        """Comes first: from now on the owner hears of it."""
        self._channel.open(partial(self._hear, owner), partial(self._lose, owner), partial(owner.silent, self))

    def start(self, ticket: int, request: Request, parent: int | None) -> None:
        """Begins a request, from the ids of its answer that are known. parent: see replica_wire.Order."""
        self._channel.send(replica_wire.pack_request(ticket, request, parent))

    def abort(self, ticket: int) -> None:
        """Ends a request."""
        self._channel.send(replica_wire.pack_abort(ticket))

    def end_thinking(self, ticket: int) -> None:
        """Lets the thinking of an answer end."""
        self._channel.send(replica_wire.pack_end_thinking(ticket))

    def _hear(self, owner: Owner, message: bytes) -> None:
        try:
            told = replica_wire.unpack_outputs(message)
        except Lost as e:
            self._why = f" It said: {e}"
            self._channel.close()
            return
        self.heard_s, self.state, self.experts = time.monotonic(), told.state, told.experts
        owner.heard(self, told.outputs)

    def _lose(self, owner: Owner) -> None:
        self.is_lost = True
        owner.lost(self, self._why)
