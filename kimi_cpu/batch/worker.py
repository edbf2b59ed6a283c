"""Answers being generated, many at once: started, watched and cancelled. Knows no files."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import EngineDeadError, KimiError, OutOfMemory
from .results import Failure
from .source import Job


@dataclass(frozen=True)
class Tokens:
    """What answers took: tokens of prompts, those of them that were computed before, and generated tokens."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.cached + other.cached, self.completion + other.completion)


class Answer(Protocol):
    """One answer on its way. Iterate for the ids of its tokens, those that it was resumed with first; then ask."""

    resumable: bool  # whether its ids are enough to go on from

    def __iter__(self) -> Iterator[Sequence[int]]: ...

    def cancel(self) -> None:
        """Ends the iteration early; from any thread."""

    def body(self) -> dict:
        """OpenAI's response object of the whole answer."""

    def tokens(self) -> Tokens: ...


class Model(Protocol):
    """What answers jobs; the seam to the language model. identity: what must be the same when a run is continued."""

    identity: dict[str, str]

    def answer(self, job: Job, resume: Sequence[int]) -> Answer | Failure:
        """An answer that begins with the ids `resume`, or why there will be none. From several threads at once."""


class Flight:
    """A job that runs. At its end it has a body, or a failure, or an error that ends the run."""

    def __init__(self, position: int, job: Job, resume: list[int]):
        self.position, self.job, self.resumed = position, job, resume
        self.ids = list(resume)  # grows while it runs
        self.num_saved = len(resume)  # of ids, those that are in a checkpoint
        self.thread: threading.Thread | None = None
        self.answer: Answer | None = None
        self.begun = False  # its prompt is computed
        self.body: dict | None = None
        self.tokens = Tokens()
        self.failure: Failure | None = None
        self.error: BaseException | None = None

    @property
    def num_generated(self) -> int:
        """Tokens that were generated since the start."""
        return len(self.ids) - len(self.resumed)


JOIN_S = 2.0


class Worker:
    """Runs jobs on a model, each followed by a thread of its own. Use it from one thread."""

    def __init__(self, model: Model):
        self._model = model
        self._events: queue.SimpleQueue[tuple[Flight, bool] | None] = queue.SimpleQueue()
        self._cancelled = False
        self._num_landed = 0  # tokens of the answers that ended
        self.flights: list[Flight] = []  # that run, oldest first

    @property
    def num_generated(self) -> int:
        """Tokens generated so far, in all."""
        return self._num_landed + sum(flight.num_generated for flight in self.flights)

    def start(self, position: int, job: Job, resume: list[int]) -> None:
        """Runs a job, from the ids that are known of its answer."""
        flight = Flight(position, job, resume)
        self.flights.append(flight)
        flight.thread = threading.Thread(target=self._follow, args=(flight,), daemon=True)
        flight.thread.start()

    def wait(self, timeout_s: float) -> list[tuple[Flight, bool]]:
        """(flight, whether it ended) of those whose answers began or ended; [] after timeout_s or wake()."""
        moved = []
        try:
            event = self._events.get(timeout=max(0.0, timeout_s))
            while event is not None:
                moved.append(event)
                flight, ended = event
                if ended:
                    self._num_landed += flight.num_generated
                    self.flights.remove(flight)
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        return moved

    def wake(self) -> None:
        """Lets wait() return; from any thread, and from a signal handler."""
        self._events.put(None)

    def cancel(self) -> None:
        """Ends all that runs. What was generated so far stays in `flights`."""
        self._cancelled = True
        for flight in self.flights:
            if flight.answer is not None:
                flight.answer.cancel()

    def join(self) -> None:
        """Waits, after cancel(), for the threads, a little: one that tokenises as the process ends may abort it."""
        give_up_at = time.monotonic() + JOIN_S
        for flight in self.flights:
            flight.thread.join(max(0.0, give_up_at - time.monotonic()))

    def _follow(self, flight: Flight) -> None:
        try:
            answer = self._model.answer(flight.job, flight.resumed)
            if isinstance(answer, Failure):
                flight.failure = answer
                return
            flight.answer = answer
            if self._cancelled:  # too late for cancel() to see the answer
                answer.cancel()
            num_known = len(flight.resumed)
            for ids in answer:
                new = ids[num_known:]
                num_known -= len(ids) - len(new)
                flight.ids.extend(new)
                if new and not flight.begun:
                    flight.begun = True
                    self._events.put((flight, False))
            flight.body, flight.tokens = answer.body(), answer.tokens()
        except KimiError as e:
            if isinstance(e, EngineDeadError | OutOfMemory):  # no request's fault: the run ends
                flight.error = e
            else:
                flight.failure = Failure(str(e), "internal_error", status=500)
        except BaseException as e:  # whatever it is, the loop must hear of it
            flight.error = e
        finally:
            self._events.put((flight, True))
