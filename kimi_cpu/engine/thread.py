"""The one thread that runs the engine: requests go in through a queue, and each has a queue for what comes out."""

import queue
import threading
from collections.abc import Callable
from typing import Any

from ..errors import EngineDeadError
from .engine import Engine, StepOutput
from .request import Request


class EngineThread:
    """Runs engine.step() while there is work and sleeps otherwise. Use submit, abort and close from any thread."""

    def __init__(self, engine: Engine, prepare=None):
        """prepare: called once on the thread before anything else (threads of the kernels belong to it)."""
        self._engine, self._prepare = engine, prepare
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._outboxes: dict[Request, queue.SimpleQueue] = {}
        self._lock = threading.Lock()  # guards _dead against a submit that comes as the thread ends
        self._dead: BaseException | None = None
        engine.interrupted = lambda: not self._inbox.empty()
        self._thread = threading.Thread(target=self._run, name="kimi-cpu engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> "queue.SimpleQueue[StepOutput | BaseException]":
        """Queues a request; its StepOutputs, or one exception, arrive on the queue returned."""
        outbox: queue.SimpleQueue = queue.SimpleQueue()
        with self._lock:
            if self._dead is not None:
                raise EngineDeadError(f"The engine has stopped: {self._dead}") from self._dead
            self._inbox.put(("add", request, outbox))
        return outbox

    def abort(self, request: Request) -> None:
        """Ends a request at once, also between two layers of a step; nothing more arrives for it."""
        request.aborted = True
        self._inbox.put(("abort", request, None))

    def call(self, function: Callable[[Engine], Any]) -> Any:
        """function(engine) run on the thread between two steps: what it returns, or the exception that it raised."""
        outbox: queue.SimpleQueue = queue.SimpleQueue()
        with self._lock:
            if self._dead is not None:
                raise EngineDeadError(f"The engine has stopped: {self._dead}") from self._dead
            self._inbox.put(("call", function, outbox))
        result = outbox.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Ends the thread after the step that runs; open requests get EngineDeadError. May be called again."""
        self._inbox.put(("close", None, None))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare()
            while self._handle_messages():
                for output in self._engine.step():
                    outbox = self._outboxes.get(output.request)
                    if output.finish_reason:
                        self._outboxes.pop(output.request, None)
                    if outbox is not None:
                        outbox.put(output)
            self._die(EngineDeadError("The model was closed."))
            self._engine.close()
        except BaseException as e:  # whatever it was, every open request must hear of it
            self._die(e)

    def _handle_messages(self) -> bool:
        """Takes all messages, waiting for one when there is nothing to run. False: close."""
        while True:
            try:
                what, request, outbox = self._inbox.get(block=not self._engine.has_work)
            except queue.Empty:
                return True
            if what == "close":
                return False
            if what == "add":
                self._outboxes[request] = outbox
                self._engine.add(request)
            elif what == "call":
                outbox.put(_outcome(request, self._engine))
            else:
                self._outboxes.pop(request, None)
                self._engine.abort(request)

    def _die(self, reason: BaseException) -> None:
        with self._lock:
            self._dead = reason
            while not self._inbox.empty():
                what, request, outbox = self._inbox.get()
                if what in ("add", "call"):
                    self._outboxes[request] = outbox
        for outbox in self._outboxes.values():
            outbox.put(reason)
        self._outboxes.clear()


def _outcome(function: Callable[[Engine], Any], engine: Engine) -> Any:
    """What a call returns, or the exception that it raises: the caller's, not the engine's."""
    try:
        return function(engine)
    except Exception as e:
        return e
