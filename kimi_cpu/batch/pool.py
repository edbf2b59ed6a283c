"""Models that answer requests side by side: how many each, which request goes to which, and what a lost one leaves."""

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from ..errors import ConfigError, EngineDeadError
from .results import Failure
from .source import Job, Prompts, Window

NUM_WARM = 64  # prompts that a model is taken to have in its cache
FIRST = 4  # sequences at once; a step of one reads nearly all that one of a few reads
GAIN = 1.1  # tokens a second, for twice the sequences; less is not worth their memory and everyone's wait
WINDOW_S = 2.0  # measured at least
WINDOW_TOKENS = 8  # a sequence, measured at least
MISSES = 2  # doublings one after the other without such a gain end the search: one may be another program's doing
BUSY = 0.75  # share of the sequences that must be generating, else it is not their number that is measured


@dataclass(frozen=True)
class Tokens:
    """Counts of answers: tokens of prompts, those of them that were computed before, and generated tokens."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.cached + other.cached, self.completion + other.completion)


class Grown(NamedTuple):
    """An answer has more ids. resumable: whether its ids are enough to go on from."""

    key: bytes
    ids: Sequence[int]
    resumable: bool = True


class Answered(NamedTuple):
    """An answer is whole. body: OpenAI's response object."""

    key: bytes
    body: dict
    tokens: Tokens


class Failed(NamedTuple):
    """A request gets no answer."""

    key: bytes
    why: Failure


class Lost(Exception):
    """A model is gone, and with it all that it had not told of. Says why."""


class Model(Protocol):
    """Answers jobs, many at once, in this process or elsewhere: what goes in and what comes out are plain values.

    It is used from one thread. Whatever `start` and `poll` raise besides Lost is no request's fault and ends the run.
    """

    identity: dict[str, str]  # what must be the same when a run is continued

    def connect(self, wake: Callable[[], None]) -> None:
        """Comes first: wake(), from any thread, says that `poll` has something. Who was lost and is connected again
        has forgotten what ran before."""

    def start(self, job: Job, resume: Sequence[int]) -> None:
        """Begins an answer, of which the ids `resume` are known. Lost."""

    def poll(self) -> Sequence[Grown | Answered | Failed]:
        """All that came since the last time, without waiting; new ids only. Lost."""
        ...

    def cancel(self) -> None:
        """Ends all that runs; nothing more comes of it."""


class Flight:
    """A job that runs, or waits for another model because its own was lost. `outcome` is its end."""

    def __init__(self, position: int, job: Job, resume: list[int]):
        self.position, self.job, self.resumed = position, job, resume
        self.ids = list(resume)  # grows while it runs
        self.num_saved = len(resume)  # of ids, those that are in a checkpoint
        self.resumable = False  # known when it has begun
        self.begun = False  # its prompt is computed
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


class Limit:
    """target doubles as long as that makes more tokens a second, up to most; then it is the best that was measured.

    fixed: it is most from the start.
    """

    def __init__(self, most: int, fixed: bool = False):
        self.most = most
        self.target = most if fixed else min(FIRST, most)
        self._settled = self.target == most
        self._best, self._best_target, self._misses = 0.0, self.target, 0
        self._since: tuple[float, int] | None = None  # seconds and tokens at the beginning of what is measured

    def observe(self, now_s: float, num_tokens: int, num_generating: int) -> None:
        """At now_s, num_tokens have been generated in all, and num_generating sequences are past their prompt."""
        if self._settled:
            return
        if num_generating < BUSY * self.target:
            self._since = None
        elif self._since is None:
            self._since = now_s, num_tokens
        else:
            seconds, tokens = now_s - self._since[0], num_tokens - self._since[1]
            if seconds >= WINDOW_S and tokens >= WINDOW_TOKENS * self.target:
                self._decide(tokens / seconds)

    def _decide(self, rate: float) -> None:
        self._since = None
        if rate >= GAIN * self._best:
            self._best, self._best_target, self._misses = rate, self.target, 0
        else:
            self._misses += 1
        if self.target == self.most or self._misses == MISSES:
            self.target, self._settled = self._best_target, True
        else:
            self.target = min(2 * self.target, self.most)


class _Member:
    """A model of the pool and what runs there."""

    def __init__(self, model: Model, limit: Limit):
        self.model, self.limit = model, limit
        self.flights: dict[bytes, Flight] = {}
        self._computed: deque[str] = deque(maxlen=NUM_WARM)
        self._num_ended = 0  # tokens of the flights that ended

    @property
    def has_room(self) -> bool:
        """Whether another job may run."""
        return len(self.flights) < self.limit.target

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

    def poll(self) -> Iterator[Flight]:
        """The flights that began or ended."""
        for event in self.model.poll():
            flight = self.flights.get(event.key)
            if flight is None:
                continue
            if not isinstance(event, Grown):
                flight.outcome = event
                self._num_ended += flight.num_generated
                del self.flights[event.key]
                yield flight
                continue
            flight.ids.extend(event.ids)
            flight.resumable = event.resumable
            if event.ids and not flight.begun:
                flight.begun = True
                self._computed.append(flight.job.prefix)
                yield flight


class Pool:
    """Runs jobs on models, all followed by the thread that calls `wait`. `error` is what ends the run, when it is set.

    A job goes to the model that has the beginning of its prompt, unless that is full or another would be idle. The jobs
    of a lost model go to others, each from the ids that are known of its answer.
    """

    def __init__(self, models: Iterable[Model], new_limit: Callable[[], Limit]):
        """new_limit: makes the limit of one model. ConfigError: the models do not answer alike."""
        self._new_limit = new_limit
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
        """Starts what there is room for: first what lost models left, then jobs of the window."""
        self._join()
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

    def observe(self, now_s: float) -> None:
        """Measures, for the limits, how fast the models are."""
        for member in self._members:
            num_generating = sum(flight.begun for flight in member.flights.values())
            member.limit.observe(now_s, member.num_generated, num_generating)

    def cancel(self) -> None:
        """Ends all that runs. What was generated so far stays in `flights`."""
        for member in self._members:
            with suppress(Lost):
                member.model.cancel()

    def _freest(self, passed: Sequence[_Member] = ()) -> _Member | None:
        """The least loaded member with room that has not passed; None: there is none, or the run ends."""
        free = [member for member in self._members if member.has_room and member not in passed]
        return min(free, key=lambda member: member.load) if free and self.error is None else None

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
        try:
            member.model.start(flight.job, flight.resumed)
        except Lost as e:
            self._lose(member, e)
        except Exception as e:
            self._fail(e)

    def _poll(self, member: _Member, moved: dict[Flight, None]) -> None:
        try:
            for flight in member.poll():
                moved[flight] = None
        except Lost as e:
            self._lose(member, e)
        except Exception as e:
            self._fail(e)

    def _lose(self, member: _Member, why: Lost) -> None:
        self._members.remove(member)
        self._num_lost += 1
        self._num_past += member.num_generated
        for flight in member.flights.values():
            flight.put_back()
            self._put_back.append(flight)
        self._join()
        if not self._members:
            error = EngineDeadError(_none_left(self._num_lost, why))
            error.__cause__ = why.__cause__
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error = self.error or error


def _none_left(num_lost: int, why: Lost) -> str:
    if num_lost == 1:
        return str(why)
    return f"All models are lost, the last because: {why} What was answered is safe; the same command goes on."
