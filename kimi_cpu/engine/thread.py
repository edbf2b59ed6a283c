"""The one thread that runs the engine: requests go in through a queue, and each has a queue for what comes out.

What is raised on behalf of one request ends that request; only a fault of the step that all share ends the thread.
"""

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ..errors import EngineDeadError, ForkError
from .engine import Engine, EngineState, StepOutput
from .request import Request


class Outbox(Protocol):
    """Where what comes of a request is put."""

    def put(self, item: "StepOutput | BaseException") -> None:
        """From the engine's thread; must not wait."""


class EngineThread:
    """Runs engine.step() while there is work and sleeps otherwise. Use submit, abort and close from any thread.

    In a fork of its process there is no such thread: ForkError.
    """

    def __init__(self, engine: Engine, prepare=None):
        """prepare: called once on the thread before anything else (threads of the kernels belong to it)."""
        self._engine, self._prepare, self._pid = engine, prepare, os.getpid()
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._outboxes: dict[Request, Outbox] = {}
        self._lock = threading.Lock()  # guards _dead against a submit that comes as the thread ends
        self._dead: BaseException | None = None
        engine.interrupted = lambda: not self._inbox.empty()
        engine.report = self._deliver
        self._thread = threading.Thread(target=self._run, name="kimi-cpu engine", daemon=True)
        self._thread.start()

    @property
    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one that has the thread. Locks may be held for ever then."""
        return self._pid != os.getpid()

    def require_own_process(self) -> None:
        """ForkError: the thread is another process's."""
        if self.is_foreign:
            raise ForkError

    def submit(self, request: Request, outbox: Outbox | None = None) -> None:
        """Queues a request; its StepOutputs, or in the end an error, arrive in the outbox. EngineDeadError."""
        self._send("add", request, outbox)

    def state(self) -> EngineState:
        """How busy the engine is; never waits. EngineDeadError."""
        self.require_own_process()
        with self._lock:
            if self._dead is not None:
                raise _dead_error(self._dead)
        return self._engine.state

    def abort(self, request: Request) -> None:
        """Ends a request at once, also within a layer of a step; nothing more arrives for it."""
        if self.is_foreign:
            return
        request.aborted = True
        self._put("abort", request, None)

    def call(self, function: Callable[[Engine], Any]) -> Any:
        """function(engine) run on the thread between two steps: what it returns, or the exception that it raised."""
        outbox: queue.SimpleQueue = queue.SimpleQueue()
        self._send("call", function, outbox)
        result = outbox.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def steer(self, request: Request, function: Callable[[Request], None]) -> None:
        """function(request) will run on the thread between two steps; what it raises ends the request."""
        self.require_own_process()
        self._put("steer", request, function)

    def close(self) -> None:
        """Ends the thread, also within a layer; open requests get EngineDeadError. May be called again."""
        self.require_own_process()
        for request in list(self._outboxes):
            request.aborted = True
        self._put("close", None, None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _send(self, what: str, subject: Any, outbox: Outbox | None) -> None:
        self.require_own_process()
        with self._lock:
            if self._dead is not None:
                raise _dead_error(self._dead)
            self._put(what, subject, outbox)

    def _put(self, what: str, subject: Any, other: Any) -> None:
        self._inbox.put((what, subject, other))
        self._engine.look()

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare()
            while self._handle_messages():
                for output in self._engine.step():
                    self._deliver(output)
            self._die(EngineDeadError("The model was closed."))
            self._engine.close()
        except BaseException as e:  # whatever it was, every open request must hear of it
            self._die(e)

    def _handle_messages(self) -> bool:
        """Takes all messages, waiting for one when there is nothing to run. False: close."""
        while True:
            try:
                what, subject, other = self._inbox.get(block=not self._engine.has_work)
            except queue.Empty:
                return True
            match what:
                case "close":
                    return False
                case "add":
                    if other is not None:
                        self._outboxes[subject] = other
                    self._engine.add(subject)
                case "call":
                    other.put(_outcome(subject, self._engine))
                case "steer":
                    self._steer(subject, other)
                case "abort":
                    self._outboxes.pop(subject, None)
                    self._engine.abort(subject)

    def _steer(self, request: Request, function: Callable[[Request], None]) -> None:
        try:
            function(request)
        except BaseException as e:  # as Engine._outputs
            if request in self._outboxes:
                self._deliver(self._engine.fail(request, e))

    def _deliver(self, output: StepOutput) -> None:
        """Puts what came of a request where it belongs; one whose outbox takes nothing any more is forgotten."""
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
        with self._lock:
            self._dead = reason
            unanswered = list(self._outboxes.values())
            while not self._inbox.empty():
                what, _, other = self._inbox.get()
                if what in ("add", "call") and other is not None:
                    unanswered.append(other)
        for outbox in unanswered:
            with suppress(Exception):  # the others must hear of it
                outbox.put(_dead_error(reason))
        self._outboxes.clear()


def _dead_error(reason: BaseException) -> EngineDeadError:
    """The error that one caller gets; its own, as it will carry that caller's traceback."""
    error = EngineDeadError(
        str(reason) if isinstance(reason, EngineDeadError) else f"The engine has stopped: {reason!r}."
    )
    error.__cause__ = None if isinstance(reason, EngineDeadError) else reason
    return error


def _outcome(function: Callable[[Engine], Any], engine: Engine) -> Any:
    """What a call returns, or the exception that it raises: the caller's, not the engine's."""
    try:
        return function(engine)
    except BaseException as e:
        return e
