"""A seat: the place for one engine on a host, and how far the engine that is there has come."""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from . import wire
from .actor import EngineActor
from .channel import Channel
from .connection import SEAT
from .work import Part

LONGEST_S = 60.0  # between two engines in a seat; a second after the first that was lost, then twice as long each time
STEADY_S = 120.0  # an engine that ran so long was none of those that die again and again
NO_ROOM_S = 30.0  # that an engine waits before that is told


class Remote(Protocol):
    """An engine of another process, as this one uses it. is_lost: nothing more will come of it."""

    is_lost: bool


Engine = TypeVar("Engine", bound=Remote)


class Role(NamedTuple, Generic[Engine]):
    """The kind of engines that a run has. actor: their class, made of (Work as bytes, Part). remote: makes what the run
    uses of the host's name, a channel to an actor that is loaded, and its identity."""

    actor: type[EngineActor]
    remote: Callable[[str, Channel, dict[str, str]], Engine]


class State(Enum):
    """The stages of a seat, in their order; from each it may become EMPTY again, or REFUSED for good."""

    EMPTY = auto()
    ASKED = auto()  # for its facts
    KNOWN = auto()
    LOADING = auto()
    READY = auto()
    RUNNING = auto()
    REFUSED = auto()


class Seat(Generic[Engine]):
    """See the module. host: as messages name it. facts: once they are known. engine: once it is ready. why: it was
    refused."""

    def __init__(
        self,
        address: str,
        node: str,
        part: Part,
        work: bytes,
        role: Role[Engine],
        wake: Callable[[], None],
        tell: Callable[[str], None],
    ):
        """address, node: of the host; Ray's id of it. wake: called when `look` has something to see."""
        self.host = address if part.count == 1 else f"{address} (engine {part.number + 1} of {part.count})"
        self.state = State.EMPTY
        self.facts: wire.Facts | None = None
        self.engine: Engine | None = None
        self.why = ""
        self._address, self._node, self._part, self._work, self._role = address, node, part, work, role
        self._key = secrets.token_bytes(32)
        self._wake, self._tell = wake, tell
        self._actor: Any = None
        self._reply: Future[bytes] = Future()
        self._since_s, self._due_s, self._wait_s = 0.0, 0.0, 1.0

    def look(self) -> None:
        """Goes on, if what it waits for has come."""
        now_s = time.monotonic()
        match self.state:
            case State.EMPTY if now_s >= self._due_s:
                self._ask()
            case State.ASKED | State.LOADING if self._reply.done():
                self._hear()
            case State.ASKED if now_s - self._since_s > NO_ROOM_S:
                self._since_s = float("inf")  # to be told once
                self._tell(f"{self.host} has no room for an engine yet; something else holds its CPUs or its memory.")
            case State.RUNNING if self.engine is not None and self.engine.is_lost:
                self._empty("its engine is gone; its requests go on elsewhere")
            case _:
                pass

    def load(self) -> None:
        """Has the engine, whose facts are as they should be, load the model."""
        self._expect(self._actor.load.remote(self._address, self._key), State.LOADING)

    def run(self) -> Engine:
        """Lets go of the engine that is ready."""
        assert self.engine is not None, f"no engine is ready on {self.host}"
        self.state, self._since_s = State.RUNNING, time.monotonic()
        self._tell(f"{self.host} takes part.")
        return self.engine

    def refuse(self, why: str) -> None:
        """Leaves the host out."""
        self.state, self.why = State.REFUSED, why
        self._tell(f"{self.host} is left out: {why}")
        self.kill()

    def close(self) -> Any | None:
        """Has the engine end, if there is one that can: a reference to wait for."""
        return self._actor.close.remote() if self.state is State.RUNNING else None

    def kill(self) -> None:
        """Ends the engine at once."""
        import ray

        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None

    def _ask(self) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = {
            "num_cpus": self._part.num_cpus,
            "memory": self._part.memory,
            "resources": {SEAT: 1},
            "scheduling_strategy": NodeAffinitySchedulingStrategy(self._node, soft=False),
            "concurrency_groups": {"run": 1},
        }
        self._actor = ray.remote(**options)(self._role.actor).remote(self._work, self._part)
        self._expect(self._actor.facts.remote(), State.ASKED)

    def _expect(self, reference: Any, state: State) -> None:
        self.state, self._since_s = state, time.monotonic()
        self._reply = reference.future()
        self._reply.add_done_callback(lambda _: self._wake())

    def _hear(self) -> None:
        try:
            data = self._reply.result()
            if self.state is State.ASKED:
                self.facts, self.state = wire.unpack_facts(data), State.KNOWN
                return
            loaded = wire.unpack_loaded(data)
        except wire.Refused as e:
            self.refuse(str(e))
        except Exception as e:  # Ray has many
            self._empty(f"its engine is gone ({type(e).__name__})")
        else:
            for notice in loaded.notices:
                self._tell(f"{self.host}: {notice}")
            channel = Channel(self._actor, (self._address, loaded.port), self._key)
            self.engine, self.state = self._role.remote(self.host, channel, loaded.identity), State.READY

    def _empty(self, why: str) -> None:
        """Another engine comes after a while."""
        now_s = time.monotonic()
        if self.state is State.RUNNING and now_s - self._since_s >= STEADY_S:
            self._wait_s = 1.0
        self._tell(f"{self.host}: {why}.")
        self.kill()
        self.state, self.engine, self._due_s = State.EMPTY, None, now_s + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_S)
