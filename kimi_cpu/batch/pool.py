"""Models that answer requests side by side: how many each, which request goes to which, and what a lost one leaves."""

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from ..errors import ConfigError, EngineDeadError
from .model import Answered, Failed, Grown, Lost, Model
from .pacing import Lead, Limit, Pace
from .source import Job, Prompts, Window

NUM_WARM = 64  # prompts that a model is taken to have in its cache
AGAIN = 2.0  # times what beginning again costs, what an answer that moves must be worth


class Flight:
    """A job that runs, or waits for another model because its own was lost or had too much. `outcome` is its end."""

    def __init__(self, position: int, job: Job, resume: list[int]):
        self.position, self.job, self.resumed = position, job, resume
        self.ids = list(resume)  # grows while it runs
        self.num_saved = len(resume)  # of ids, those that are in a checkpoint
        self.resumable = False  # known when it has begun
        self.begun = False  # its prompt is computed
        self.started_s = self.begun_s = 0.0  # when it went to its model, and when that had computed its prompt
        self.outcome: Answered | Failed | None = None

    @property
    def num_generated(self) -> int:
        """Tokens that were generated since the start."""
        return len(self.ids) - len(self.resumed)

    def put_back(self) -> None:
        """Another model begins it: with the ids that are known, but for the last, which may be the answer's end."""
        if self.num_generated:
            self.resumed = self.ids[:-1] if self.resumable else []
        self.ids, self.begun = list(self.resumed), False

    def may_move(self, now_s: float) -> bool:
        """Whether to begin it elsewhere costs little beside what may be left of it: as much as there has been."""
        return not self.begun or now_s - self.begun_s >= AGAIN * (self.begun_s - self.started_s)


class _Member:
    """A model of the pool and what runs there."""

    def __init__(self, model: Model, limit: Limit):
        self.model, self.limit = model, limit
        self.flights: dict[bytes, Flight] = {}
        self.pace = Pace()
        self._computed: deque[str] = deque(maxlen=NUM_WARM)
        self._num_ended = 0  # tokens of the flights that ended here, or left
        self._lead = Lead(model.lag_s)
        self._num_outcomes = 0

    @property
    def has_room(self) -> bool:
        """Whether another job may run, or wait where it will."""
        return len(self.flights) < self.limit.target + self._lead.count

    @property
    def load(self) -> float:
        """Share of its limit that runs."""
        return len(self.flights) / self.limit.target

    @property
    def prompts(self) -> Prompts:
        """Prompts that it need not compute again."""
        return Prompts([f.job.prefix for f in self.flights.values() if not f.begun], self._computed)

    @property
    def num_generated(self) -> int:
        """Tokens generated here so far."""
        return self._num_ended + sum(flight.num_generated for flight in self.flights.values())

    def observe(self, now_s: float) -> None:
        """Measures how fast the model is."""
        self.pace.observe(now_s, self.num_generated, len(self.flights))
        self.limit.observe(now_s, self.num_generated, sum(flight.begun for flight in self.flights.values()))
        self._lead.observe(now_s, self._num_outcomes)

    def share_for(self, other: "_Member") -> int:
        """The number of flights, rounded, that a member without any should take over from here: by their paces, of
        which the one here counts more, for having begun. Of two equal ones' two flights one moves, and a last one moves
        only to a faster member."""
        here, there = self.pace.rate, other.pace.rate
        if here is None or there is None or not here + there:
            here = there = 1.0
        share = there / (there + AGAIN * here)
        return math.ceil(len(self.flights) * share - 0.5)

    def leave(self, count: int, now_s: float) -> list[Flight]:
        """Gives up so many flights at most, the latest first, which has the least to lose."""
        movable = [flight for flight in reversed(self.flights.values()) if flight.may_move(now_s)]
        for flight in movable[:count]:
            self.model.withdraw(flight.job.key)
            self._end(flight)
        return movable[:count]

    def poll(self, now_s: float) -> Iterator[Flight]:
        """The flights that began or ended."""
        for event in self.model.poll():
            flight = self.flights.get(event.key)
            if flight is None:
                continue
            if not isinstance(event, Grown):
                flight.outcome = event
                self._num_outcomes += 1
                self._end(flight)
                yield flight
                continue
            flight.ids.extend(event.ids)
            flight.resumable = event.resumable
            if event.ids and not flight.begun:
                flight.begun, flight.begun_s = True, now_s
                self._computed.append(flight.job.prefix)
                yield flight

    def _end(self, flight: Flight) -> None:
        self._num_ended += flight.num_generated
        del self.flights[flight.job.key]


class Pool:
    """Runs jobs on models, all followed by the thread that calls `wait`. `error` is what ends the run, when it is set.

    A job goes to the model that has the beginning of its prompt, unless that is full or another would be idle. The jobs
    of a lost model go to others, each from the ids that are known of its answer; and so do, when there are no new ones,
    some of those of the model that has the most to do, to one that has nothing to do.
    """

    def __init__(self, models: Iterable[Model], new_limit: Callable[[], Limit], lasting: bool = False):
        """new_limit: makes the limit of one model. lasting: to have no model for a while is no error, as `add` is going
        to bring more. ConfigError: the models do not answer alike."""
        self._new_limit, self._lasting = new_limit, lasting
        self._now_s = 0.0  # when the models were last observed
        self._news: queue.SimpleQueue[_Member | None] = queue.SimpleQueue()  # whose models have something; None: wake
        self._joining: queue.SimpleQueue[Model] = queue.SimpleQueue()
        self._members: list[_Member] = []
        self._put_back: deque[Flight] = deque()
        self._num_lost = self._num_past = 0  # models; tokens of those
        self.identity: dict[str, str] | None = None
        self.error: Exception | None = None
        for model in models:
            self.add(model)

    @property
    def flights(self) -> list[Flight]:
        """All that runs or waits to run again."""
        return [*self._put_back, *(flight for member in self._members for flight in member.flights.values())]

    @property
    def num_generated(self) -> int:
        """Tokens generated so far, in all."""
        return self._num_past + sum(member.num_generated for member in self._members)

    @property
    def limit(self) -> int:
        """Jobs that may run at once."""
        return sum(member.limit.target for member in self._members)

    def add(self, model: Model) -> None:
        """Takes one more model, or one that was lost and is back; from any thread. ConfigError: it is another."""
        if self.identity not in (None, model.identity):
            raise ConfigError(f"The models of a batch differ: {self.identity} and {model.identity}.")
        self.identity = model.identity
        self._joining.put(model)
        self.wake()

    def admit(self, window: Window, known_ids: Callable[[bytes, bytes], list[int]]) -> None:
        """Starts what there is room for: first what lost or busy models left, then jobs of the window."""
        self._join()
        if window.is_empty and not self._put_back:
            self._share_out()
        while self._put_back and (member := self._freest()):
            self._start(member, self._put_back.popleft())
        for steals in (False, True):
            passed: list[_Member] = []  # found no job
            while member := self._freest(passed):
                entry = window.take(member.prompts, self._owners(member, steals))
                if entry is None:
                    passed.append(member)
                    continue
                position, job = entry
                self._start(member, Flight(position, job, known_ids(job.key, job.digest)))

    def wait(self, timeout_s: float) -> list[Flight]:
        """The flights that began or ended; [] after timeout_s or wake(), or when there is an error."""
        until_s = time.monotonic() + timeout_s
        while True:
            news = self._all_news(until_s - time.monotonic())
            moved: dict[Flight, None] = {}  # each once: it may have begun and ended
            for member in news:
                if member in self._members:
                    self._poll(member, moved)
            if moved or self.error is not None or None in news or time.monotonic() >= until_s:
                return list(moved)

    def wake(self) -> None:
        """Lets wait() return; from any thread, and from a signal handler."""
        self._news.put(None)

    def fail(self, error: Exception) -> None:
        """Ends the run; from any thread."""
        self.error = self.error or error
        self.wake()

    def observe(self, now_s: float) -> None:
        """Measures how fast the models are."""
        self._now_s = now_s
        for member in self._members:
            member.observe(now_s)

    def cancel(self) -> None:
        """Ends all that runs. What was generated so far stays in `flights`."""
        for member in self._members:
            with suppress(Lost):
                member.model.cancel()

    def _freest(self, passed: Sequence[_Member] = ()) -> _Member | None:
        """The least loaded member with room that has not passed; None: there is none, or the run ends."""
        free = [member for member in self._members if member.has_room and member not in passed]
        return min(free, key=lambda member: member.load) if free and self.error is None else None

    def _share_out(self) -> None:
        """Takes jobs for the members that have none from those that have the most for their pace."""
        for idle in [member for member in self._members if not member.flights]:
            busy = max(self._members, key=lambda member: member.share_for(idle))
            for flight in busy.leave(min(busy.share_for(idle), idle.limit.target), self._now_s):
                flight.put_back()
                if idle in self._members:
                    self._start(idle, flight)
                else:  # it was lost with the flight before
                    self._put_back.append(flight)

    def _owners(self, member: _Member, steals: bool) -> list[Prompts]:
        """The prompts of the models to which a member leaves their jobs. steals: it has found nothing else; then it
        leaves none to those that are full, and none at all when it would be idle."""
        if steals and not member.flights:
            return []
        others = [other for other in self._members if other is not member]
        return [other.prompts for other in others if other.has_room or not steals]

    def _all_news(self, timeout_s: float) -> dict[_Member | None, None]:
        """Everything that is in the queue, once, in its order; waits for something."""
        news: dict[_Member | None, None] = {}
        with suppress(queue.Empty):
            news[self._news.get(timeout=max(0.0, timeout_s))] = None
            while True:
                news[self._news.get_nowait()] = None
        return news

    def _join(self) -> None:
        with suppress(queue.Empty):
            while True:
                model = self._joining.get_nowait()
                member = _Member(model, self._new_limit())
                self._members.append(member)
                model.connect(partial(self._news.put, member))

    def _start(self, member: _Member, flight: Flight) -> None:
        member.flights[flight.job.key] = flight
        flight.started_s = self._now_s
        try:
            member.model.start(flight.job, flight.resumed)
        except Lost as e:
            self._lose(member, e)
        except Exception as e:
            self.fail(e)

    def _poll(self, member: _Member, moved: dict[Flight, None]) -> None:
        try:
            for flight in member.poll(self._now_s):
                moved[flight] = None
        except Lost as e:
            self._lose(member, e)
        except Exception as e:
            self.fail(e)

    def _lose(self, member: _Member, why: Lost) -> None:
        self._members.remove(member)
        self._num_lost += 1
        self._num_past += member.num_generated
        for flight in member.flights.values():
            flight.put_back()
            self._put_back.append(flight)
        self._join()
        if not self._members and not self._lasting:
            error = EngineDeadError(_none_left(self._num_lost, why))
            error.__cause__ = why.__cause__
            self.fail(error)


def _none_left(num_lost: int, why: Lost) -> str:
    if num_lost == 1:
        return str(why)
    return f"All models are lost, the last because: {why} What was answered is safe; the same command goes on."
