"""The model that a server holds, from loading to its end, and who may use it now."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from ..errors import EngineDeadError
from ..llm import LLM
from .answers import Answers, Call
from .errors import ApiError
from .memory import ReasoningMemory
from .metrics import Metrics
from .preparing import Preparation
from .settings import Settings

log = logging.getLogger("kimi_cpu.server")
MAX_RETRY_S = 120
WATCH_S = 0.25  # how often it is looked whether the engine lives
RESTART_S = 60.0  # a new engine is started once in this time, at most


class Service:
    """Loads a model in the background, again when its engine dies, hands out places, and knows whether all is well."""

    def __init__(self, load: Callable[[], LLM], settings: Settings, clock: Callable[[], float] = time.monotonic):
        """load: called again for a new engine when one has died. clock: seconds."""
        self._load, self.settings, self._clock = load, settings, clock
        self.metrics, self.memory = Metrics(), ReasoningMemory()
        self._llm: LLM | None = None
        self._end: str | None = None  # why there is no model any more
        self._answers: dict[str, Answers] = {}
        self._num_taken = 0  # places: sequences that run or wait
        self._request_s = 1.0  # moving average of a request's time
        self.preparation = Preparation()
        self._next_start_s = -math.inf  # a new engine may be started from then on
        self._is_starting = False

    async def start(self) -> None:
        """Loads the model on another thread. Raises what that raises."""
        self._llm = await _on_daemon(self._load)
        log.info("%s is ready", self._llm.path.name)

    async def keep_alive(self) -> None:
        """Starts a new engine whenever one has died, once in RESTART_S at most, until it is cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._death() is None or self._clock() < self._next_start_s:
                continue
            self._next_start_s, self._is_starting = self._clock() + RESTART_S, True
            log.error("%s A new one is started.", self._death())
            try:
                await asyncio.to_thread(self._llm.close)
                self._llm = await _on_daemon(self._load)
                log.info("%s is ready again", self._llm.path.name)
            except Exception:
                log.exception("The engine cannot be started again; it is tried once more in %d s", RESTART_S)
            self._is_starting = False

    def _death(self) -> EngineDeadError | None:
        """Why the model answers nothing, if it does not."""
        try:
            self._llm.state()
        except EngineDeadError as e:
            return e
        return None

    async def stop(self) -> None:
        """Ends all answers and gives the model back."""
        self._end = "The server is shutting down."
        for answers in list(self._answers.values()):
            answers.fail(EngineDeadError(self._end))
        self.preparation.close()
        if self._llm is not None:
            await asyncio.to_thread(self._llm.close)

    @property
    def llm(self) -> LLM:
        """The model. ApiError, EngineDeadError: it is not there yet, or not any more, or about to be there again."""
        if self._end is not None:
            raise EngineDeadError(self._end)
        if self._llm is None:
            raise ApiError(503, "Loading model", code="loading", headers={"Retry-After": "5"})
        death = self._death()
        if death is not None:
            wait_s = 0.0 if self._is_starting else max(self._next_start_s - self._clock(), 0.0)
            retry_s = str(int(wait_s) + 5)
            message = f"{death} Another one is started; try again in {retry_s} s."
            raise ApiError(503, message, code="engine_dead", headers={"Retry-After": retry_s})
        return self._llm

    @property
    def model_id(self) -> str:
        """The model's name: its file's, without the ending."""
        return self.llm.path.stem

    async def ask(self, answer_id: str, calls: Sequence[Call]) -> Answers:
        """Starts all calls; close the answers when done. ApiError 429: too many wait already."""
        llm = self.llm
        num_places = sum(call.n for call in calls)
        self._take(num_places)
        answers = Answers(answer_id, self, num_places)
        self._answers[answer_id] = answers
        try:
            for call in calls:
                await answers.start(llm, call)
        except BaseException:
            answers.close()
            raise
        return answers

    def find(self, answer_id: str) -> Answers:
        """Answers that are being generated. ApiError 404: there are none of that id."""
        if answer_id not in self._answers:
            raise ApiError(404, f"No answer {answer_id!r} is being generated.", param="id")
        return self._answers[answer_id]

    def _take(self, num_places: int) -> None:
        room = self.settings.parallel + self.settings.max_waiting
        if num_places > room:
            raise ApiError(400, f"The request wants {num_places} answers; this server gives {room} at once.", param="n")
        if self._num_taken + num_places > room:
            self.metrics.refused.inc()
            wait_s = self._request_s * self._num_taken / self.settings.parallel
            retry_s = str(int(min(max(wait_s, 1), MAX_RETRY_S)))
            message = f"{self._num_taken} requests run or wait already. Try again in {retry_s} s."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": retry_s})
        self._num_taken += num_places

    def release(self, answers: Answers, num_places: int, seconds: float) -> None:
        """Answers are done, or were left; their places are free."""
        self._answers.pop(answers.id, None)
        self._num_taken -= num_places
        self._request_s += 0.2 * (seconds - self._request_s)


async def _on_daemon(work: Callable[[], LLM]) -> LLM:
    """What work() returns or raises, on a thread that need not end: a signal ends the program while it still loads."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def run() -> None:
        try:
            outcome, settle = work(), done.set_result
        except Exception as e:
            outcome, settle = e, done.set_exception
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if done.cancelled() else settle(outcome))

    threading.Thread(target=run, name="kimi-cpu load", daemon=True).start()
    return await done
