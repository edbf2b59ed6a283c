"""The model that a server holds, from its load to its end, and the places of the requests that use it."""

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import EngineDeadError
from ..llm import Generation, TextModel
from .answers import Answers, Metrics, Question
from .errors import SHUTTING_DOWN, ApiError, log
from .memory import ReasoningMemory
from .settings import Settings

if TYPE_CHECKING:
    from .agents import Agents

MAX_RETRY_S = 120
WATCH_S = 0.25  # between two checks that the engine lives
RESTART_S = 60.0  # a new engine is started once in this time, at most

MAX_SMALL = 50_000  # characters of a request, about 20 ms of tokenising
MAX_MEDIUM = 1_000_000  # about as long as its schemas may take, a second
SCHEMAS = ("tools", "response_format")
TEXTS = (*SCHEMAS, "template_kwargs")
NUM_KNOWN = 32  # requests' schemas, whose grammars the model still has as a rule

Result = TypeVar("Result")


class Service:
    """Loads a model in the background, again when its engine dies, and starts answers where there are places."""

    def __init__(self, load: Callable[[], TextModel], settings: Settings, clock: Callable[[], float] = time.monotonic):
        """load: called again for a new engine when one has died. clock: seconds."""
        self._load, self.settings, self._clock = load, settings, clock
        self.agents = _agents(settings)
        self.metrics, self.memory = Metrics(settings.replicas is not None), ReasoningMemory()
        self._llm: TextModel | None = None
        self._end: str | None = None  # why there is no model any more
        self._answers: dict[str, Answers] = {}
        self._preparation = Preparation()
        self._num_taken = 0  # places: sequences that run or wait
        self._request_s = 1.0  # moving average of a request's time
        self._next_start_s = -math.inf  # the earliest time for a new engine
        self._is_starting = False

    async def start(self) -> None:
        """Loads the model on another thread, and starts the MCP servers meanwhile. Exceptions of both are raised
        here."""
        await asyncio.gather(self._start_model(), self._start_agents())
        if self.agents is not None:
            await asyncio.to_thread(self.agents.offer, self.llm)

    async def _start_model(self) -> None:
        self._llm = await _on_daemon(self._load)
        log.info("%s is ready", self._llm.path.name)

    async def _start_agents(self) -> None:
        if self.agents is not None:
            await _on_daemon(self.agents.start)
            for notice in self.agents.notices:
                log.info("%s", notice)

    async def keep_alive(self) -> None:
        """Starts a new engine whenever one has died, once in RESTART_S at most, until it is cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            death = self._death()
            if death is None or self._clock() < self._next_start_s:
                continue
            self._next_start_s, self._is_starting = self._clock() + RESTART_S, True
            log.error("%s A new one is started.", death)
            try:
                assert self._llm is not None
                await asyncio.to_thread(self._llm.close)
                self._llm = await _on_daemon(self._load)
                log.info("%s is ready again", self._llm.path.name)
            except Exception:
                log.exception("The engine cannot be started again; it is tried once more in %d s", RESTART_S)
            self._is_starting = False

    def _death(self) -> EngineDeadError | None:
        """The error of an engine that has died; None while it lives."""
        try:
            if self._llm is not None:
                self._llm.state()
        except EngineDeadError as e:
            return e
        return None

    async def stop(self) -> None:
        """Ends all answers and gives the model back."""
        self._end = SHUTTING_DOWN
        for answers in list(self._answers.values()):
            answers.fail(EngineDeadError(self._end))
        if self.agents is not None:
            await self.agents.stop()
        self._preparation.close()
        if self._llm is not None:
            await asyncio.to_thread(self._llm.close)

    @property
    def llm(self) -> TextModel:
        """The model. ApiError, EngineDeadError: it is still loading, it has ended, or it is loaded again."""
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

    async def ask(self, answer_id: str, questions: Sequence[Question]) -> Answers:
        """Starts the answers to all questions; close them when done. ApiError 429: too many wait already. KimiError:
        the request cannot be served."""
        llm = self.llm
        num_places = sum(question.num_sequences for question in questions)
        self._take(num_places)
        answers = Answers(self.metrics, self.memory, partial(self._release, answer_id, num_places))
        self._answers[answer_id] = answers
        try:
            for question in questions:
                answers.add(*await self._preparation.run(question, partial(self._begin, llm, question)))
        except BaseException:
            answers.close()
            raise
        return answers

    def find(self, answer_id: str) -> Answers:
        """Answers that are being generated. ApiError 404: there are none of that id."""
        if answer_id not in self._answers:
            raise ApiError(404, f"No answer {answer_id!r} is being generated.", param="id")
        return self._answers[answer_id]

    def _begin(self, llm: TextModel, question: Question) -> tuple[list[Generation], list[Mapping] | None]:
        """The generations of a question, and a chat's messages as the model sees them."""
        prompt = question.prompt
        if not (isinstance(prompt, list) and prompt and isinstance(prompt[0], Mapping)):
            return llm.samples(prompt, question.n, **question.options), None
        messages = self.memory.restored(prompt)
        self.metrics.restored.inc(sum(a is not b for a, b in zip(messages, prompt, strict=True)))
        return llm.samples(messages, question.n, **question.options), messages

    def _take(self, num_places: int) -> None:
        """Takes places. ApiError: there are not so many, or not now."""
        room = self.settings.num_running + self.settings.max_waiting
        if num_places > room:
            raise ApiError(400, f"The request wants {num_places} answers; this server gives {room} at once.", param="n")
        if self._num_taken + num_places > room:
            self.metrics.refused.inc()
            wait_s = self._request_s * self._num_taken / self.settings.num_running
            retry_s = str(int(min(max(wait_s, 1), MAX_RETRY_S)))
            message = f"{self._num_taken} requests run or wait already. Try again in {retry_s} s."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": retry_s})
        self._num_taken += num_places

    def _release(self, answer_id: str, num_places: int, seconds: float) -> None:
        """Frees the places of answers that are done, or were left."""
        self._answers.pop(answer_id, None)
        self._num_taken -= num_places
        self._request_s += 0.2 * (seconds - self._request_s)


class Preparation:
    """Renders, tokenises and compiles beside the event loop, on three groups of threads, so that large requests do not
    hold up others: one for small requests whose schemas were compiled before, one for medium requests, one for
    large."""

    def __init__(self):
        self._small = ThreadPoolExecutor(4, "kimi-cpu small request")
        self._medium = ThreadPoolExecutor(2, "kimi-cpu medium request")
        self._large = ThreadPoolExecutor(2, "kimi-cpu large request")
        self._known: dict[str, None] = {}  # schemas as JSON, the latest last

    async def run(self, question: Question, work: Callable[[], Result]) -> Result:
        """The result of work(), which begins the answers. Cancelled while it waits, it is not begun."""
        size = _size([question.prompt, *(question.options.get(name) for name in TEXTS)])
        schemas = _schemas(question.options) if size <= MAX_SMALL else None
        if size <= MAX_SMALL and (schemas is None or schemas in self._known):
            workers = self._small
        else:
            workers = self._medium if size <= MAX_MEDIUM else self._large
        result = await asyncio.get_running_loop().run_in_executor(workers, work)
        if schemas is not None:
            self._known.pop(schemas, None)
            self._known[schemas] = None
            if len(self._known) > NUM_KNOWN:
                del self._known[next(iter(self._known))]
        return result

    def close(self) -> None:
        """Begins nothing more."""
        for workers in (self._small, self._medium, self._large):
            workers.shutdown(wait=False, cancel_futures=True)


def _agents(settings: Settings) -> "Agents | None":
    """The agent that the settings want. ModuleNotFoundError: its packages are not there."""
    if settings.mcp is None:
        return None
    from .agents import Agents  # its packages are needed for this alone

    return Agents(settings.mcp, settings.allow, settings.num_running)


async def _on_daemon(work: Callable[[], Result]) -> Result:
    """The result of work(), or its exception, from a daemon thread: a signal ends the program while it still loads."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def run() -> None:
        try:
            settle = partial(done.set_result, work())
        except Exception as e:
            settle = partial(done.set_exception, e)
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if done.cancelled() else settle())

    threading.Thread(target=run, name="kimi-cpu load", daemon=True).start()
    return await done


def _schemas(options: Mapping[str, Any]) -> str | None:
    """The schemas of a request, as JSON; None where it has none."""
    schemas = {name: options[name] for name in SCHEMAS if options.get(name)}
    return json.dumps(schemas) if schemas else None


def _size(values: list[Any]) -> int:
    """Characters and values in some values. Counts no further than MAX_MEDIUM."""
    size = 0
    pending: list[Any] = [values]
    while pending and size <= MAX_MEDIUM:
        value = pending.pop()
        size += len(value)
        if isinstance(value, Mapping):
            pending += value
            value = value.values()
        if not isinstance(value, str):
            pending += (part for part in value if isinstance(part, str | list | Mapping))
    return size
