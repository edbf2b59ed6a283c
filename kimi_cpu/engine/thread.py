"""The one thread that runs the engine: requests go in through a queue, and each has an outbox for its results.

An exception on behalf of one request ends that request; only a fault of the step that all share ends the thread.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TypeVar

from ..errors import EngineDeadError, SuspendedError
from .client import Outbox, OwnProcess
from .engine import Engine, EngineState, StepOutput
from .request import Request

T = TypeVar("T")
IDLE_SECONDS = 2.0  # without work, after which the thread is idle


class EngineThread(OwnProcess):
    """Runs engine.step() while there is work and sleeps otherwise: an EngineClient of this process. Use it from any
    thread.

    In a fork of its process there is no such thread: ForkError.
    """

    def __init__(
        self, engine: Engine, prepare: Callable[[], object] | None = None, idle: Callable[[], bool] | None = None
    ):
        """prepare: called once on the thread before anything else (threads of the kernels belong to it).

        idle: called on the thread, again and again, when there was no work for some seconds, until it says that it has
        no more to do; it must be short, as requests wait for it.
        """
        super().__init__()
        self._engine, self._prepare, self._idle = engine, prepare, idle
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # to be called between two steps
        self._outboxes: dict[Request, Outbox] = {}
        self._lock = threading.Lock()  # guards _dead against a submit that comes as the thread ends
        self._dead: BaseException | None = None
        self._is_closing = self._is_held = False
        engine.interrupted = lambda: not self._inbox.empty()
        engine.report = self._deliver
        self._thread = threading.Thread(target=self._run, name="kimi-cpu engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request, outbox: Outbox | None = None) -> None:
        """Queues a request; its StepOutputs, or in the end an error, arrive in the outbox. EngineDeadError."""
        self._send(partial(self._add, request, outbox))

    def state(self) -> EngineState:
        """The engine's load; never waits. EngineDeadError."""
        self.require_own_process()
        with self._lock:
            self._require_life()
        return self._engine.state

    def abort(self, request: Request) -> None:
        """Ends a request at once, also within a layer of a step; nothing more arrives for it."""
        if self.is_foreign:
            return
        request.aborted = True
        self._put(partial(self._abort, request))

    def call(self, function: Callable[[Engine], T]) -> T:
        """function(engine) run on the thread between two steps: what it returns, or the exception that it raised.
        SuspendedError: the thread is held."""
        future: Future[T] = Future()
        self._send(partial(self._call, function, future))
        return future.result()

    def post(self, function: Callable[[Engine], object]) -> None:
        """function(engine) will run on the thread between two steps, unless it is held; nobody waits for it."""
        self._put(partial(self._call, function, Future()))

    def hold(self, function: Callable[[Engine], T]) -> T:
        """Ends the step in flight, within a layer, and runs none until `go_on`: requests wait. Returns what
        function(engine) does on the thread then; what that raises is raised here, and steps go on."""
        self._engine.is_halted = True
        try:
            return self.call(partial(self._hold, function))
        finally:
            self._engine.is_halted = False

    def go_on(self) -> None:
        """Runs steps again, after `hold`."""
        self._put(self._go_on)

    def end_thinking(self, request: Request) -> None:
        """Lets its answer's thinking end with the next token, where it has a steering."""
        if request.steering is not None:
            self.steer(request, request.steering.end_thinking)

    def steer(self, request: Request, function: Callable[[Request], None]) -> None:
        """function(request) will run on the thread between two steps; what it raises ends the request."""
        self.require_own_process()
        self._put(partial(self._steer, request, function))

    def fail(self, error: BaseException) -> None:
        """Ends the thread as a step that fails does, also where none runs. From any thread."""
        self._put(partial(_raise, error))

    def close(self) -> None:
        """Ends the thread, also within a layer; open requests get EngineDeadError. May be called again."""
        self.require_own_process()
        for request in list(self._outboxes):
            request.aborted = True
        self._put(self._close)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _send(self, action: Callable[[], None]) -> None:
        self.require_own_process()
        with self._lock:
            self._require_life()
            self._put(action)

    def _put(self, action: Callable[[], None]) -> None:
        self._inbox.put(action)
        self._engine.look()

    def _require_life(self) -> None:
        if self._dead is not None:
            raise _dead_error(self._dead)

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare()
            while self._empty_inbox():
                self._step()
            self._die(EngineDeadError("The model was closed."))
            self._engine.settle()
        except BaseException as e:  # whatever it was, every open request must hear of it
            self._die(e)
            self._engine.drain()

    def _step(self) -> None:
        """One step, whose results go to their outboxes. Nothing holds its requests, and their ids, when it is over."""
        for output in self._engine.step():
            self._deliver(output)

    def _empty_inbox(self) -> bool:
        """Does what was asked for, waiting for something when there is nothing to run. False: the thread is to end."""
        while not self._is_closing:
            try:
                action = self._next_action()
            except queue.Empty:
                return True
            action()
            del action  # which has a request, perhaps, whose ids would stay as long as the thread sleeps
        return False

    def _next_action(self) -> Callable[[], None]:
        """What was asked for next; queue.Empty: nothing, and there is work. Without work it waits, and is idle."""
        if not self._is_held:
            if self._engine.has_work:
                return self._inbox.get_nowait()
            seconds = IDLE_SECONDS
            while self._idle is not None:
                with suppress(queue.Empty):
                    return self._inbox.get(timeout=seconds)
                seconds = 0.0
                if not self._idle():
                    self._idle = None
        return self._inbox.get()

    def _add(self, request: Request, outbox: Outbox | None) -> None:
        if outbox is not None:
            self._outboxes[request] = outbox
        self._engine.add(request)

    def _abort(self, request: Request) -> None:
        self._outboxes.pop(request, None)
        self._engine.abort(request)

    def _call(self, function: Callable[[Engine], T], future: "Future[T]") -> None:
        try:
            self._require_life()
            if self._is_held:
                raise SuspendedError("The model is suspended; call resume() before this.")
            future.set_result(function(self._engine))
        except BaseException as e:  # the caller's, not the engine's
            future.set_exception(e)

    def _steer(self, request: Request, function: Callable[[Request], None]) -> None:
        try:
            function(request)
        except BaseException as e:  # as Engine._outputs
            if request in self._outboxes:
                self._deliver(self._engine.fail(request, e))

    def _hold(self, function: Callable[[Engine], T], engine: Engine) -> T:
        engine.settle()
        result = function(engine)
        self._is_held = True
        return result

    def _go_on(self) -> None:
        self._is_held = False

    def _close(self) -> None:
        self._is_closing = True

    def _deliver(self, output: StepOutput) -> None:
        """Puts a result into its request's outbox; a request whose outbox refuses it is forgotten."""
        request = output.request
        outbox = self._outboxes.pop(request, None) if output.finish_reason else self._outboxes.get(request)
        if outbox is None:
            return
        try:
            outbox.put(output if output.error is None else output.error)
        except Exception:
            self._outboxes.pop(request, None)
            self.abort(request)  # between two steps: this may be within one

    def _die(self, reason: BaseException) -> None:
        """Tells all who wait, those too whose request was not taken up yet."""
        with self._lock:
            self._dead = reason
        while not self._inbox.empty():
            with suppress(Exception):
                self._inbox.get()()
        for outbox in self._outboxes.values():
            with suppress(Exception):  # the others must hear of it
                outbox.put(_dead_error(reason))
        self._outboxes.clear()


def _raise(error: BaseException) -> None:
    raise error


def _dead_error(reason: BaseException) -> EngineDeadError:
    """The error that one caller gets; its own, as it will carry that caller's traceback."""
    error = EngineDeadError(
        str(reason) if isinstance(reason, EngineDeadError) else f"The engine has stopped: {reason!r}."
    )
    error.__cause__ = None if isinstance(reason, EngineDeadError) else reason
    return error
