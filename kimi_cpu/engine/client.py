"""The seam to an engine: requests go in and outboxes get what comes of them, in this process or from another one."""

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from ..errors import ForkError
from .engine import Engine, EngineState, StepOutput
from .request import Request

T = TypeVar("T")


class Outbox(Protocol):
    """Receives the results of one request."""

    def put(self, item: "StepOutput | BaseException") -> None:
        """From the engine's thread; must not wait."""


class OwnProcess:
    """Belongs to the process that made it. In a fork of that, threads are missing and locks may be held for ever."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_foreign(self) -> bool:
        """See EngineClient."""
        return self._pid != os.getpid()

    def require_own_process(self) -> None:
        """See EngineClient."""
        if self.is_foreign:
            raise ForkError


class EngineClient(Protocol):
    """An engine, or several that answer alike, as those see it who have requests. Usable from any thread."""

    @property
    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one that reaches the engine."""
        ...

    def require_own_process(self) -> None:
        """ForkError: it is such a fork."""

    def submit(self, request: Request, outbox: Outbox | None = None) -> None:
        """Queues a request; its StepOutputs, or in the end an error, arrive in the outbox. EngineDeadError."""

    def abort(self, request: Request) -> None:
        """Ends a request at once; nothing more arrives for it."""

    def end_thinking(self, request: Request) -> None:
        """Lets its answer's thinking end with the next token, where it has a steering."""

    def call(self, function: Callable[[Engine], T]) -> T:
        """function(engine) run between two steps: what it returns, or the exception that it raised. ConfigError: the
        engine is in another process."""
        ...

    def state(self) -> EngineState:
        """The load; never waits. EngineDeadError: it has stopped, and answers nothing more."""
        ...
