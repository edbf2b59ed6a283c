"""The engines of a cluster: one in each seat that a host offers, from its first sign of life to its replacement."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Protocol, Self, TypeVar

from ..errors import ConfigError, EngineDeadError
from . import wire
from .actor import program
from .batch_actor import BatchActor
from .connection import SEAT, connected, part_of
from .remote import RemoteModel
from .seat import Engine, Role, Seat, State
from .work import BatchWork, Part, Work

LOOK_S = 0.5  # between looks at the hosts, unless an engine says something
PATIENCE_S = 60.0  # that the first hosts wait for others, to choose what the engines of the run have in common
CLOSE_S = 5.0  # that engines have to end
NO_SEATS = (
    "No host of the Ray cluster offers a place for an engine. Start Ray on each that is to have one with: ray start "
    f"--address=HEAD:6379 --resources='{{\"{SEAT}\": 1}}'"
)


Joining = TypeVar("Joining", contravariant=True)


class Joined(Protocol[Joining]):
    """A run that engines join."""

    def add(self, engine: Joining, /) -> None:
        """Takes an engine that is ready. ConfigError: it does not answer as the others do, and is left out."""

    def fail(self, error: Exception, /) -> None:
        """No engine joins any more."""


class Hosts(Generic[Engine]):
    """Keeps an engine in each seat of the cluster that this process is connected to, or in so many. A context
    manager."""

    def __init__(
        self,
        work: Work,
        role: Role[Engine],
        tell: Callable[[str], None],
        most: int | None = None,
        weights: str | None = None,
    ):
        """tell: takes sentences for the person who runs this, from any thread. most: of engines; None: one in each
        seat. weights: of the model file that all are to have; None: of the one that most hosts have."""
        self._work, self._role, self._tell, self._most, self._weights = work, role, tell, most, weights
        self._seats: dict[tuple[str, int], Seat[Engine]] = {}  # by node and number
        self._chosen: wire.Facts | None = None
        self._known_s: float | None = None  # when the first facts were
        self._woken, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def names(self) -> list[str]:
        """The hosts that have an engine, or are to have one. From any thread."""
        seats = [seat for seat in list(self._seats.values()) if seat.state is not State.REFUSED]
        seats.sort(key=lambda seat: seat.state is State.EMPTY)
        return [seat.host for seat in seats[: self._most]]

    def first(self) -> Engine:
        """Waits for an engine. ConfigError: none can be, for reasons that it says."""
        while True:
            self._look()
            for seat in self._in(State.READY):
                return seat.run()
            self._check_any()
            self._rest()

    def follow(self, run: Joined[Engine]) -> None:
        """From now on, adds the engines that become ready to a run, which has the first one."""
        self._thread = threading.Thread(target=self._follow, args=(run,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all engines."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
        ending = [reference for seat in self._seats.values() if (reference := seat.close()) is not None]
        if ending:
            import ray

            ray.wait(ending, num_returns=len(ending), timeout=CLOSE_S)
        for seat in self._seats.values():
            seat.kill()

    def _follow(self, run: Joined[Engine]) -> None:
        try:
            while not self._closed:
                self._look()
                for seat in self._in(State.READY):
                    self._join(seat, run)
                if self._seats:
                    self._check_any()
                self._rest()
        except ConfigError as e:
            run.fail(e)
        except Exception as e:  # Ray has many
            error = EngineDeadError(f"The Ray cluster no longer answers ({e}).")
            error.__cause__ = e
            run.fail(error)

    def _join(self, seat: Seat[Engine], run: Joined[Engine]) -> None:
        try:
            run.add(seat.run())
        except ConfigError as e:
            seat.refuse(str(e))

    def _rest(self) -> None:
        self._woken.wait(LOOK_S)
        self._woken.clear()

    def _in(self, state: State) -> list[Seat[Engine]]:
        return [seat for seat in self._seats.values() if seat.state is state]

    def _check_any(self) -> None:
        """ConfigError: there is no seat, or all are refused."""
        if not self._seats:
            raise ConfigError(NO_SEATS)
        refused = self._in(State.REFUSED)
        if len(refused) == len(self._seats):
            raise ConfigError(f"No host can take part. {' '.join(f'{seat.host}: {seat.why}' for seat in refused[:3])}")

    def _look(self) -> None:
        """Sees which seats there are, and helps each one on."""
        import ray

        seats = dict(self._offered(ray.nodes()))
        for place in self._seats.keys() - seats.keys():
            self._tell(f"{self._seats.pop(place).host} has left.")
        for place, (address, part) in seats.items():
            if place not in self._seats:
                packed = self._work.packed()
                self._seats[place] = Seat(address, place[0], part, packed, self._role, self._woken.set, self._tell)
        for seat in self._seats.values():
            if seat.state is not State.EMPTY or self._room:
                seat.look()
        if self._chosen is None:
            self._choose()
        if self._chosen is not None:
            for seat in self._in(State.KNOWN):
                self._admit(seat, self._chosen)

    @property
    def _room(self) -> bool:
        """Whether one more engine may be."""
        if self._most is None:
            return True
        return len(self._seats) - len(self._in(State.EMPTY)) - len(self._in(State.REFUSED)) < self._most

    def _offered(self, nodes: list[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, int], tuple[str, Part]]]:
        """(node, number) of each seat of the nodes that are there, the host's address and the seat's part of it."""
        for node in nodes:
            has = node["Resources"]
            count = int(has.get(SEAT, 0)) if node["Alive"] else 0
            for number in range(count):
                yield (node["NodeID"], number), (node["NodeManagerAddress"], part_of(has, number))

    def _choose(self) -> None:
        """Takes as the run's what most hosts have, once all have said it, or the first has waited for long."""
        known = [seat.facts for seat in self._in(State.KNOWN) if seat.facts is not None]
        if not known:
            return
        self._known_s = self._known_s or time.monotonic()
        to_come = self._in(State.ASKED) + (self._in(State.EMPTY) if self._room else [])
        if to_come and time.monotonic() - self._known_s < PATIENCE_S:
            return
        ((weights, tier), _), *_ = Counter((facts.weights, facts.tier) for facts in known).most_common(1)
        self._chosen = wire.Facts(program(), self._weights or weights, tier)

    def _admit(self, seat: Seat[Engine], chosen: wire.Facts) -> None:
        facts = seat.facts
        assert facts is not None, "the seat's facts are known"
        if facts.program != chosen.program:
            seat.refuse("its kimi-cpu is another than the one here. Install the same on all hosts.")
        elif facts.weights != chosen.weights:
            model = self._work.model or "the bundled model"
            others = "on most hosts" if self._weights is None else "here"
            seat.refuse(f"{model} is another there than {others}. Copy the same file to all.")
        elif facts.tier != chosen.tier and not self._work.mixed:
            tiers = f"its kernels are {facts.tier}, the run's {chosen.tier}"
            seat.refuse(f"{tiers}, and answers may differ; --mixed takes it.")
        else:
            seat.load()


@contextmanager
def hosts_of(address: str, work: BatchWork, tell: Callable[[str], None]) -> Iterator[Hosts[RemoteModel]]:
    """Engines for a batch on the hosts of the Ray cluster at an address, or of one that is made of this machine: see
    connection.connected."""
    with connected(address, tell), Hosts(work, Role(BatchActor, RemoteModel), tell) as hosts:
        yield hosts
