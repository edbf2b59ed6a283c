"""An answer on its way, and the queue in which what comes of it waits to be read."""

import asyncio
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Generic

from ..errors import AnswerError
from .results import Answer, ChatCompletion, Completion, Piece


class Generation(ABC, Generic[Answer]):
    """An answer on its way: the handle that LLM.submit and LLM.samples return. Use it from any thread and any event
    loop.

    Iterate (`for`, or `async for`) for its pieces; each iteration begins with the first. `result()` waits for the whole
    answer, and so does `await`. `cancel()` ends it, and so does dropping the handle. What fails, in the engine or in
    reading what came from it, is raised wherever the handle is waited for.
    """

    def __init__(self):
        self._outbox = Outbox()
        self._pieces: list[Piece] = []  # the last one has a finish_reason
        self._error: BaseException | None = None
        self._is_over = False  # no more pieces will come

    @property
    @abstractmethod
    def num_prompt_tokens(self) -> int:
        """Tokens of the prompt, special ones included."""

    @abstractmethod
    def cancel(self) -> None:
        """Ends the answer; what was generated so far stays, and the last piece has finish_reason "cancelled"."""

    @abstractmethod
    def answer_now(self) -> None:
        """Closes the thinking as soon as the engine can, so that the answer comes; nothing changes outside of it."""

    @property
    def is_read(self) -> bool:
        """Whether the answer was read to its end, or to what failed."""
        return self._is_over

    def result(self, progress: Callable[[int, int], None] | None = None) -> Answer:
        """Waits for the whole answer. progress: called with (tokens computed, tokens of the prompt) meanwhile."""
        for piece in self:
            if progress is not None and piece.prompt_progress is not None:
                progress(*piece.prompt_progress)
        return self._whole()

    def listen(self, changed: Callable[[], None]) -> None:
        """changed() is called now, and then from the engine's thread whenever there is more for `ready`; for one thread
        that follows many requests. It must not wait."""
        self._outbox.listener = changed
        changed()

    def ready(self, at: int) -> list[Piece]:
        """The pieces from an index on that can be had without waiting. Raises what failed when there are none left."""
        self._require_own_process()
        with self._outbox.reading:
            self._has(sys.maxsize)
            pieces = self._pieces[at:]
        if not pieces and self._error is not None:
            raise self._error
        return pieces

    def __iter__(self) -> Iterator[Piece]:
        at = 0
        while (piece := self._wait(at)) is not None:
            yield piece
            at += 1

    async def __aiter__(self) -> AsyncIterator[Piece]:
        at = 0
        while (piece := await self._wait_async(at)) is not None:
            yield piece
            at += 1

    def __await__(self) -> Generator[Any, None, Answer]:
        """The whole answer; cancelling the task that awaits it cancels the request."""
        return self._result_async().__await__()

    async def _result_async(self) -> Answer:
        at = 0
        while await self._wait_async(at) is not None:
            at += 1
        return self._whole()

    @abstractmethod
    def _whole(self) -> Answer:
        """The answer, when it is over."""

    @abstractmethod
    def _read(self, came_s: float, item: Any) -> None:
        """Reads an item of the outbox, which came at a time. What it raises ends the answer."""

    @abstractmethod
    def _stop(self) -> None:
        """Ends what the engine still computes for this."""

    @abstractmethod
    def _require_own_process(self) -> None:
        """ForkError: the engine runs in another process, from which this one was forked."""

    def _wait(self, at: int) -> Piece | None:
        """The piece at an index when it is there; None behind the last. Raises what failed."""
        while (seen := self._changes_before(at)) is not None:
            self._outbox.wait(seen)
        return self._piece_at(at)

    async def _wait_async(self, at: int) -> Piece | None:
        while (seen := self._changes_before(at)) is not None:
            try:
                await self._outbox.future(seen)
            except BaseException:  # the task was cancelled
                self.cancel()
                raise
        return self._piece_at(at)

    def _changes_before(self, at: int) -> int | None:
        """None when the piece at an index is there, or an end before it; otherwise how often the outbox has changed, to
        wait for the next time."""
        self._require_own_process()
        with self._outbox.reading:
            seen = self._outbox.num_changes
            return None if self._has(at) else seen

    def _has(self, at: int) -> bool:
        """Reads until there is a piece at an index, or an end before it; False when that takes more from the engine."""
        while len(self._pieces) <= at and not self._is_over:
            try:
                came_s, item = self._outbox.take()
            except IndexError:
                return False
            try:
                self._read(came_s, item)
            except BaseException as e:
                self._fail(e)
                if not isinstance(e, Exception):  # Ctrl-C is the caller's
                    raise
            finally:
                self._outbox.wake()  # others may wait for what was read
        return True

    def _piece_at(self, at: int) -> Piece | None:
        if at < len(self._pieces):
            return self._pieces[at]
        if self._error is not None:
            raise self._error
        return None

    def _fail(self, error: BaseException) -> None:
        """Ends the answer: what came of it cannot be read."""
        self._stop()
        self._error, self._is_over = AnswerError.of(error), True


def result_of(handle: Generation[Answer], progress: Callable[[int, int], None] | None) -> Answer:
    """The whole answer; whatever interrupts the wait (Ctrl-C) ends the request."""
    try:
        return handle.result(progress)
    finally:
        handle.cancel()


def closing(handle: Generation[Completion] | Generation[ChatCompletion]) -> Iterator[Piece]:
    """The pieces; who stops reading ends the request."""
    try:
        yield from handle
    finally:
        handle.cancel()


class Outbox:
    """The queue from the engine's thread to the threads and event loops that wait for a request's tokens.

    `put` from any thread; wait in threads, or in event loops, which costs no thread. A reader holds `reading` during
    `take` and all that must go with it; `put` never waits for that.
    """

    def __init__(self):
        self.reading = threading.Lock()
        self._items: deque[tuple[float, Any]] = deque()
        self._changed = threading.Condition()
        self._num_changes = 0
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.listener: Callable[[], None] | None = None  # called after each put, by its thread

    @property
    def num_changes(self) -> int:
        """Changes so far, by writers and readers: a reader that finds nothing waits until it is another than before."""
        return self._num_changes

    def put(self, item: Any) -> None:
        """Adds an item and wakes everyone who waits."""
        self._items.append((time.perf_counter(), item))
        self.wake()
        if self.listener is not None:
            self.listener()

    def take(self) -> tuple[float, Any]:
        """The oldest item, and before it the time when it came. IndexError when there is none."""
        return self._items.popleft()

    def wake(self) -> None:
        """Lets all who wait look again."""
        with self._changed:
            self._num_changes += 1
            self._changed.notify_all()
            wakers, self._wakers = self._wakers, []
        for loop, future in wakers:
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop is closed, and nobody waits there any more
                continue

    def wait(self, num_changes: int) -> None:
        """Sleeps until num_changes is another."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_changes != num_changes)

    def future(self, num_changes: int) -> asyncio.Future[None]:
        """A future of the running event loop, done when num_changes is another."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._changed:
            if self._num_changes == num_changes:
                self._wakers.append((loop, future))
                return future
        future.set_result(None)
        return future


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():  # its waiter may have been cancelled
        future.set_result(None)
