"""A model whose layers are spread over stages, as the engine of the driver sees it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from ..errors import EngineDeadError, ModelFileError
from ..model import ForwardBatch, Watch
from ..model.pieces import pieces
from . import stage_wire as wire
from .stage_wire import Kind

LOOK_S = 0.02  # between looks whether a step is still wanted
PIECES = 2  # a stage: with as many a lone prompt has all stages at work for 2K of 3K - 1 turns


class Stage(NamedTuple):
    """A stage as its driver knows it. name: for messages. page_bytes: of its layers of a page."""

    name: str
    connection: Connection
    page_bytes: int


class Cache(NamedTuple):
    """The cache that stages have in common: its type, and the number of its pages."""

    kind: str
    num_pages: int


class StagedModel:
    """See engine.Model: batches go to all stages at once, and come back as logits from the last one.

    A batch that is longer than `chunk` tokens goes through the stages in pieces, so that they work at once on it.
    """

    def __init__(self, stages: Sequence[Stage], cache: Cache, chunk: int, vocab_size: int):
        self.depth, self.max_tokens, self.vocab_size = len(stages) + 1, PIECES * len(stages) * chunk, vocab_size
        self._chunk = chunk
        self._stages, self._numbers = stages, count()
        self._steps: dict[int, tuple[_Step, np.ndarray]] = {}  # by the numbers of their pieces, with their rows
        self.lost: EngineDeadError | None = None  # why nothing comes any more
        self._lock = threading.Lock()  # guards the table of steps, and who hears of a loss
        self._tell: Callable[[EngineDeadError], object] = lambda error: None
        self.pages = StagedPages(self, stages, cache)
        for index in range(len(stages)):
            threading.Thread(target=self._listen, args=(index,), name="kimi-cpu stage", daemon=True).start()

    def submit(self, batch: ForwardBatch, watch: Watch) -> "Future[np.ndarray | None]":
        """See engine.Model."""
        parts = pieces(batch, self._chunk)
        step = _Step(self, watch, len(parts), (len(batch.logits_indices), self.vocab_size))
        with self._lock:
            for part in parts:
                step.numbers.append(next(self._numbers))
                self._steps[step.numbers[-1]] = step, part.outputs
        if self.lost is not None:
            step.fail(self.lost)
        for number, part in zip(step.numbers, parts, strict=True):
            self.send(wire.packed_step(number, part.batch))
        return step.future

    def look(self) -> None:
        """Has the stages end the steps that have become unwanted."""
        with self._lock:
            steps = {id(step): step for step, _ in self._steps.values()}
        for step in steps.values():
            if not step.is_stopped and step.watch(step.num_done, len(step.numbers)):
                step.is_stopped = True
                for number in step.numbers:
                    self.send(wire.head(Kind.STOP, number))

    def release(self) -> None:
        """See llm.loading.RunningModel."""
        self.send(wire.head(Kind.RELEASE))

    def send(self, message: bytes) -> None:
        """Sends a message to all stages."""
        for stage in self._stages:
            with suppress(OSError):  # it is lost, as its listener says
                stage.connection.send_bytes(message)

    def lose(self, why: str) -> None:
        """Ends all that waits for a stage that is gone. From any thread; the first reason counts."""
        with self._lock:
            if self.lost is not None:
                return
            lost = self.lost = EngineDeadError(why)
            steps, self._steps = self._steps, {}
            tell = self._tell
        for step, _ in steps.values():
            step.fail(lost)
        self.pages.fail(lost)
        tell(lost)

    def on_loss(self, tell: Callable[[EngineDeadError], object]) -> None:
        """See llm.loading.Loaded; called at once where a stage is gone already."""
        with self._lock:
            self._tell, lost = tell, self.lost
        if lost is not None:
            tell(lost)

    def _listen(self, index: int) -> None:
        stage = self._stages[index]
        try:
            while True:
                self._take(index, wire.parsed(stage.connection.recv_bytes()))
        except (EOFError, OSError):
            self.lose(f"{stage.name} is gone.")
        except Exception as e:
            self.lose(f"{stage.name} sends what no stage says ({e}).")

    def _take(self, index: int, message: wire.Message) -> None:
        if message.kind is Kind.PAGE:
            self.pages.take(index, message)
            return
        if message.kind is Kind.FAILED:
            self.lose(f"{self._stages[index].name} has failed: {message.text}.")
            return
        with self._lock:
            step, outputs = self._steps.pop(message.numbers[0])
        match message.kind:
            case Kind.ROWS:
                step.take(outputs, wire.rows_of(message, len(outputs), self.vocab_size))
            case Kind.ENDED:
                step.end(None)
            case Kind.UNREADABLE:
                step.end(ModelFileError(message.text))
            case other:
                raise wire.Misfit(other.name)


class _Step:
    """A step in flight. numbers: of its pieces, of which `num_done` have come back."""

    def __init__(self, model: StagedModel, watch: Watch, num_pieces: int, shape: tuple[int, int]):
        self.watch, self.future = watch, _StepFuture(model)
        self.numbers: list[int] = []
        self.num_done, self.is_stopped = 0, False
        self._num_pieces, self._shape = num_pieces, shape
        self._logits: np.ndarray | None = None
        self._error: ModelFileError | None = None
        self._is_whole = True

    def take(self, outputs: np.ndarray, rows: np.ndarray) -> None:
        """Some rows of the logits."""
        if self._num_pieces == 1:
            self._logits = rows
        else:
            if self._logits is None:
                self._logits = np.empty(self._shape, np.float32)
            self._logits[outputs] = rows
        self._count()

    def end(self, error: ModelFileError | None) -> None:
        """A piece has ended early."""
        self._is_whole, self._error = False, error or self._error
        self._count()

    def fail(self, error: EngineDeadError) -> None:
        """Nothing more comes."""
        if not self.future.done():
            self.future.set_exception(error)

    def _count(self) -> None:
        """The step is over when all of its pieces have come back: none of them writes pages any more."""
        self.num_done += 1
        if self.num_done == self._num_pieces:
            if self._error is not None:
                self.future.set_exception(self._error)
            else:
                self.future.set_result(self._logits if self._is_whole else None)


class _StepFuture(Future[np.ndarray | None]):
    """Whoever waits for a step also looks whether it is still wanted."""

    def __init__(self, model: StagedModel):
        super().__init__()
        self._model = model

    def result(self, timeout: float | None = None) -> np.ndarray | None:
        """See Future; it waits as long as it takes."""
        while True:
            try:
                return super().result(LOOK_S)
            except TimeoutError:
                self._model.look()


class StagedPages:
    """See engine.Pages: a page lies in pieces with the stages, and is in the order of its layers what it is in one
    process."""

    def __init__(self, model: StagedModel, stages: Sequence[Stage], cache: Cache):
        self.kind, self.num_pages = cache
        self.page_bytes = sum(stage.page_bytes for stage in stages)
        self._model, self._stages = model, stages
        self._reply: Future[np.ndarray] = Future()
        self._missing: set[int] = set()  # stages of whose page the content has not come
        self._page = np.zeros(0, np.uint8)
        self._lock = threading.Lock()  # guards what is missing
        ends = np.cumsum([stage.page_bytes for stage in stages]).tolist()
        self._places = [slice(end - stage.page_bytes, end) for end, stage in zip(ends, stages, strict=True)]

    def read(self, page: int) -> np.ndarray:
        """See engine.Pages. EngineDeadError."""
        self._reply, self._missing = Future(), set(range(len(self._stages)))
        self._page = np.empty(self.page_bytes, np.uint8)
        if self._model.lost is not None:
            raise self._model.lost
        self._model.send(wire.head(Kind.READ, page))
        return self._reply.result()

    def write(self, page: int, data: np.ndarray) -> None:
        """See engine.Pages."""
        for stage, place in zip(self._stages, self._places, strict=True):
            with suppress(OSError):
                stage.connection.send_bytes(wire.head(Kind.WRITE, page) + data[place].tobytes())

    def copy(self, source: int, target: int) -> None:
        """See engine.Pages."""
        self._model.send(wire.head(Kind.COPY, source, target))

    def take(self, index: int, message: wire.Message) -> None:
        """A stage's layers of the page that is read."""
        self._page[self._places[index]] = np.frombuffer(message.body, np.uint8)
        with self._lock:
            self._missing.discard(index)
            if not self._missing and not self._reply.done():
                self._reply.set_result(self._page)

    def fail(self, error: EngineDeadError) -> None:
        """Nothing more comes."""
        with self._lock:
            if not self._reply.done():
                self._reply.set_exception(error)
