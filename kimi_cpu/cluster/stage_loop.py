"""The steps of one stage: batches come from the driver, hidden values from the stage before, and results go on."""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from ..config import ModelConfig
from ..errors import ModelFileError
from ..model import ForwardBatch, Kimi
from . import stage_wire as wire
from .line import Line
from .stage_wire import Kind

PATIENCE_S = 5.0  # after the loss of a neighbour: the driver hears from it why, and ends all


def rows_bytes(config: ModelConfig, tokens: int) -> int:
    """Bytes of the hidden values of so many tokens."""
    return 4 * config.hidden_size * tokens


def bytes_on_the_way(config: ModelConfig, tokens: int) -> int:
    """Bytes of hidden values that a stage holds at most besides its activations, with steps of so many tokens: of two
    that wait to be computed and one that has come, of one that is computed and what becomes of it, of two that wait to
    be sent, and of one that is sent, from a copy."""
    return 9 * rows_bytes(config, tokens)


class Step(NamedTuple):
    """A step that is to be computed, in its turn. number: counted by the driver. watch: ends it."""

    number: int
    batch: ForwardBatch
    watch: "StepWatch"


class StepWatch:
    """See model.Watch: whether the driver still wants a step."""

    def __init__(self) -> None:
        self.stop = np.zeros(1, np.int64)

    def __call__(self, done: int, total: int) -> bool:
        return bool(self.stop[0])


class Outlet:
    """Sends messages over a connection, from a thread of its own: computing goes on while they leave."""

    def __init__(self, connection: Connection, num_bytes: int, broken: Callable[[BaseException], None]):
        """num_bytes: see Line. broken: called when nothing more can be sent."""
        self._connection, self._broken = connection, broken
        self._messages = Line[tuple[bytes, np.ndarray]](num_bytes)
        self._thread = threading.Thread(target=self._run, name="kimi-cpu outlet", daemon=True)
        self._thread.start()

    def put(self, head: bytes, body: np.ndarray) -> None:
        """Sends a message: what it begins with, and a whole array, which must not change any more."""
        self._messages.put((head, body), body.nbytes)

    def close(self) -> None:
        """Ends the thread when all is sent."""
        self._messages.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (message := self._messages.get()) is not None:
                head, body = message
                self._connection.send_bytes(b"".join((head, body.reshape(-1).view(np.uint8))))
        except Exception as e:
            self._messages.close()
            self._broken(e)


class StageLoop:
    """Runs a part of a model until the driver leaves, or something fails."""

    def __init__(self, model: Kimi, prepare: Callable[[], object], driver: Connection):
        """prepare: called on the thread that computes, before anything else."""
        self._model, self._prepare, self._driver = model, prepare, driver
        self._watches: dict[int, StepWatch] = {}  # of steps that are not finished
        self._due: SimpleQueue[Step | Callable[[], object] | None] = SimpleQueue()  # None: no more
        self._line_bytes = rows_bytes(model.config, model.max_tokens)
        self._arrived = Line[wire.Message](self._line_bytes)  # from the stage before
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def post(self, function: Callable[[], object]) -> None:
        """Has a function called between two steps."""
        self._due.put(function)

    def run(self, before: Connection | None, after: Connection | None) -> None:
        """Returns when the driver has left, or has been told what failed. before, after: the stages next to this
        one."""
        to_driver = Outlet(self._driver, self._line_bytes, self._fail)
        onwards = to_driver if after is None else Outlet(after, self._line_bytes, self._miss)
        self._start(self._listen, to_driver)
        if before is not None:
            self._start(self._receive, before)
        self._start(self._compute, onwards, before is not None)
        self._ended.wait()
        for watch in list(self._watches.values()):
            watch.stop[0] = 1
        if self._error is not None:
            to_driver.put(wire.head(Kind.FAILED), _text(str(self._error) or type(self._error).__name__))
        to_driver.close()

    def _start(self, function: Callable[..., None], *args: object) -> None:
        def run() -> None:
            try:
                function(*args)
            except BaseException as e:  # the driver hears of it
                self._fail(e)

        threading.Thread(target=run, name="kimi-cpu stage", daemon=True).start()

    def _fail(self, error: BaseException) -> None:
        if not self._ended.is_set():
            self._error = error
            self._end()

    def _miss(self, error: BaseException) -> None:
        """A neighbour is gone."""
        if not self._ended.wait(PATIENCE_S):
            self._fail(ConnectionError(f"it cannot reach the stage next to it ({error})"))

    def _end(self) -> None:
        self._due.put(None)
        self._arrived.close()
        self._ended.set()

    def _listen(self, to_driver: Outlet) -> None:
        """Takes the driver's messages in their order. A page is read, written and copied at once: no step that is under
        way has anything to do with it, and one that has comes later."""
        pages = self._model.pages
        while True:
            try:
                message = wire.parsed(self._driver.recv_bytes())
            except (EOFError, OSError):
                self._end()
                return
            first, second, _ = message.numbers
            match message.kind:
                case Kind.STEP:
                    watch = self._watches[first] = StepWatch()
                    self._due.put(Step(first, wire.unpacked_step(message.body), watch))
                case Kind.STOP:
                    if (watch := self._watches.get(first)) is not None:
                        watch.stop[0] = 1
                case Kind.READ:
                    to_driver.put(wire.head(Kind.PAGE, first), pages.read(first))
                case Kind.WRITE:
                    pages.write(first, np.frombuffer(message.body, np.uint8))
                case Kind.COPY:
                    pages.copy(first, second)
                case Kind.RELEASE:
                    self._model.release()
                case other:
                    raise wire.Misfit(f"The driver sent {other.name}, which no driver does.")

    def _receive(self, before: Connection) -> None:
        """Takes what the stage before has computed, while this one computes."""
        try:
            while True:
                message = wire.parsed(before.recv_bytes())
                self._arrived.put(message, len(message.body))
        except (EOFError, OSError) as e:
            self._miss(e)

    def _compute(self, onwards: Outlet, waits: bool) -> None:
        self._prepare()
        while (due := self._due.get()) is not None:
            if not isinstance(due, Step):
                due()
                continue
            arrived = self._arrived.get() if waits else None
            if waits and arrived is None:
                return
            onwards.put(*self._result(due, arrived))
            del self._watches[due.number]

    def _result(self, step: Step, arrived: wire.Message | None) -> tuple[bytes, np.ndarray]:
        """The message that goes on: what this stage makes of what has arrived, or that the step has ended before."""
        hidden = None
        if arrived is not None:
            if arrived.numbers[0] != step.number:
                raise wire.Misfit(f"Step {arrived.numbers[0]} has arrived, {step.number} is due.")
            if arrived.kind is not Kind.ROWS:
                return wire.head(arrived.kind, step.number), np.frombuffer(arrived.body, np.uint8)
            hidden = wire.rows_of(arrived, len(step.batch.token_ids), self._model.config.hidden_size)
        try:
            result = self._model.forward(step.batch, step.watch, hidden)
        except ModelFileError as e:
            return wire.head(Kind.UNREADABLE, step.number), _text(str(e))
        if result is None:
            return wire.head(Kind.ENDED, step.number), np.zeros(0, np.uint8)
        return wire.head(Kind.ROWS, step.number, *result.shape), result


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)
