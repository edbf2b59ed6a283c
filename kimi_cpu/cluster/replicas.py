"""Several engines on other hosts as one: each request goes to one of them, and on to another when that is lost."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar

from ..engine import Engine, EngineState, Outbox, OwnProcess, Request, StepOutput
from ..errors import ConfigError, EngineDeadError, EngineStartingError
from ..llm.reading import ChatGuide
from .channel import SILENT_S
from .placement import grains
from .replica import Replica
from .replica_wire import Output

T = TypeVar("T")
MOST_LOST = 2  # engines that may be lost under a request before it is taken for the cause
NO_LOAD = EngineState(0, 0, 0, 0)
NONE_READY = "No engine is ready. One is being started; try again in a while."


class Task:
    """A request that runs, or waits for an engine. ticket: its name on that engine; a new one for each. is_hurried: its
    thinking is to end."""

    def __init__(self, request: Request, outbox: Outbox):
        self.request, self.outbox = request, outbox
        self.grains = grains(request.prompt_ids)
        self.replica: Replica | None = None
        self.ticket = -1
        self.is_hurried = False
        self.num_lost = 0
        self.past_steps = 0  # forward passes on engines that it has left

    def read(self, output: Output) -> StepOutput | BaseException:
        """Takes what an engine did into the request, as an engine of this process would have done it."""
        request = self.request
        if output.error is not None:
            return output.error
        if not request.output_ids:  # those are of the prompt, which was computed where the answer began
            request.num_cached = output.num_cached
        request.num_steps, request.stop_reason = self.past_steps + output.num_steps, output.stop_reason
        if output.token_id is not None:
            request.output_ids.append(output.token_id)
        if isinstance(request.guide, ChatGuide):
            request.guide.told = output.warnings
        return StepOutput(request, output.token_id, output.finish_reason, output.logprob, None, output.num_computed)


class Replicas(OwnProcess):
    """An EngineClient over engines that come and go; hosts.Hosts adds them. In a fork of its process: ForkError."""

    def __init__(self, context: int):
        """context: tokens that each engine must have room for."""
        super().__init__()
        self._context = context
        self._lock = threading.RLock()
        self._replicas: list[Replica] = []
        self._tasks: dict[Request, Task] = {}
        self._by_ticket: dict[int, Task] = {}
        self._new_tickets = count()
        self._error: Exception | None = None

    def submit(self, request: Request, outbox: Outbox | None = None) -> None:
        """See engine.EngineClient. EngineStartingError: there is no engine yet, or again."""
        self.require_own_process()
        if outbox is None:
            self._begin_idle(request)
            return
        task = Task(request, outbox)
        with self._lock:
            self._require_life()
            if not self._replicas:
                raise EngineStartingError(NONE_READY)
            self._tasks[request] = task
            self._start(task)

    def abort(self, request: Request) -> None:
        """See engine.EngineClient."""
        if self.is_foreign:
            return
        request.aborted = True
        with self._lock:
            task = self._tasks.get(request)
            if task is not None:
                replica, ticket = task.replica, task.ticket
                self._end(task)
                if replica is not None:
                    with suppress(Exception):  # it may be gone
                        replica.abort(ticket)

    def end_thinking(self, request: Request) -> None:
        """See engine.EngineClient."""
        with self._lock:
            task = self._tasks.get(request)
            if task is not None:
                task.is_hurried = True
                if task.replica is not None:
                    task.replica.end_thinking(task.ticket)

    def call(self, function: Callable[[Engine], T]) -> T:
        """See engine.EngineClient."""
        raise ConfigError("Engines run on other hosts, and what they computed cannot be kept in a session file.")

    def state(self) -> EngineState:
        """The load of all. See engine.EngineClient."""
        self.require_own_process()
        with self._lock:
            self._require_life()
            states = [NO_LOAD, *(replica.state for replica in self._replicas)]
        return EngineState(*(sum(numbers) for numbers in zip(*states, strict=True)))

    @property
    def ready(self) -> dict[str, Replica]:
        """The engines that answer, and have spoken of late, by the names of their hosts."""
        with self._lock:
            return {replica.host: replica for replica in self._speaking}

    def add(self, replica: Replica) -> None:
        """Takes one more engine, and gives it what waits. ConfigError: its context is too small."""
        if replica.context < self._context:
            raise ConfigError(
                f"{replica.host} has memory for a context of {replica.context:,} tokens, and the first engine for "
                f"{self._context:,}. Choose one that all have room for (-c)."
            )
        replica.connect(self)
        with self._lock:
            if replica.is_lost:  # as soon as it was heard of, before there was anything to be taken from it
                return
            self._replicas.append(replica)
            for task in [task for task in self._tasks.values() if task.replica is None]:
                self._start(task)

    def fail(self, error: Exception) -> None:
        """Ends all, and takes no more."""
        with self._lock:
            self._error = self._error or error
            tasks = list(self._tasks.values())
            for task in tasks:
                self._end(task)
        for task in tasks:
            task.outbox.put(_own(error))

    def heard(self, replica: Replica, outputs: Sequence[Output]) -> None:
        """See replica.Owner."""
        for output in outputs:
            with self._lock:
                task = self._by_ticket.get(output.ticket)
                if task is None:
                    continue
                item = task.read(output)
                if output.finish_reason is not None or output.error is not None:
                    replica.known.learn(grains(task.request.tokens(0, task.request.num_tokens).ids))
                    self._end(task)
            task.outbox.put(item)

    def silent(self, replica: Replica) -> None:
        """See replica.Owner: what it has goes on elsewhere, if there is an engine that speaks."""
        with self._lock:
            if any(other is not replica for other in self._speaking):
                for task in [task for task in self._tasks.values() if task.replica is replica]:
                    with suppress(Exception):  # it may be gone
                        replica.abort(task.ticket)
                    self._leave(task)
                    self._start(task)

    def lost(self, replica: Replica, why: str) -> None:
        """See replica.Owner."""
        given_up: list[Task] = []
        with self._lock:
            if replica in self._replicas:
                self._replicas.remove(replica)
            for task in [task for task in self._tasks.values() if task.replica is replica]:
                self._leave(task)
                task.num_lost += 1
                if task.num_lost > MOST_LOST:
                    self._end(task)
                    given_up.append(task)
                elif self._replicas:
                    self._start(task)
        for task in given_up:
            message = f"{task.num_lost} engines were lost while they ran this request, the last on {replica.host}.{why}"
            task.outbox.put(EngineDeadError(message))

    def _start(self, task: Task) -> None:
        """Sends a task to an engine; one whose parent runs goes where that is."""
        parent = None if task.request.parent is None else self._tasks.get(task.request.parent)
        if parent is not None and parent.replica is not None:
            replica = parent.replica
        else:
            replica, parent = self._cheapest(task.request, task.grains), None
        task.replica, task.ticket = replica, next(self._new_tickets)
        self._by_ticket[task.ticket] = task
        replica.num_open += 1
        replica.known.learn(task.grains)
        replica.start(task.ticket, task.request, None if parent is None else parent.ticket)
        if task.is_hurried:
            replica.end_thinking(task.ticket)

    def _begin_idle(self, request: Request) -> None:
        """Has an engine compute in idle time what saves time later, if there is one."""
        found = grains(request.prompt_ids)
        with self._lock:
            if self._replicas:
                replica = self._cheapest(request, found)
                replica.known.learn(found)
                replica.start(next(self._new_tickets), request, None)

    def _cheapest(self, request: Request, found: Sequence[int]) -> Replica:
        size = request.num_tokens
        return min(self._speaking or self._replicas, key=lambda r: r.known.cost(size, found, r.num_open))

    @property
    def _speaking(self) -> list[Replica]:
        now_s = time.monotonic()
        return [replica for replica in self._replicas if now_s - replica.heard_s < SILENT_S]

    def _leave(self, task: Task) -> None:
        """It runs nowhere."""
        if task.replica is not None:
            task.past_steps = task.request.num_steps
            task.replica.num_open -= 1
            del self._by_ticket[task.ticket]
            task.replica = None

    def _end(self, task: Task) -> None:
        self._leave(task)
        del self._tasks[task.request]

    def _require_life(self) -> None:
        if self._error is not None:
            raise _own(self._error)


def _own(error: Exception) -> EngineDeadError:
    """The error that one caller gets; its own, as it will carry that caller's traceback."""
    own = EngineDeadError(str(error))
    own.__cause__ = error
    return own
