"""One request from the caller's side: it feeds the engine and turns what comes back into pieces of text."""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic

import numpy as np

from ..chat.parser import Delta
from ..engine import EngineThread, Kind, Request, Sampling, StepOutput, TokenLogprob
from ..errors import AnswerError, NonFiniteLogits
from .reading import CANCELLED
from .results import Answer, ChatCompletion, Completion, Piece, Timings, Usage
from .turn import ChatTurn, Turn


class Generation(Generic[Answer]):
    """An open request: the handle that LLM.submit and LLM.samples return. Use it from any thread and any event loop.

    Iterate (`for`, or `async for`) for its pieces; each iteration begins with the first. `result()` waits for the whole
    answer, and so does `await`. `cancel()` ends it, and so does dropping the handle. What fails, in the engine or in
    reading what came from it, is raised wherever the handle is waited for.
    """

    def __init__(
        self,
        thread: EngineThread,
        request: Request,
        turn: Turn[Answer],
        *,
        done: Callable[[Request, int, Answer], None] | None = None,
        explain: Callable[[BaseException], BaseException] = lambda error: error,
        owner: object = None,
    ):
        """done(request, num_tokens, answer): called when the answer has ended, which has num_tokens; the engine may
        have generated more before a stop text was seen. explain(error): the error that the caller gets for one of the
        engine. owner: kept alive as long as the request."""
        self._thread, self._request, self._turn, self._done = thread, request, turn, done
        self._reader = turn.reader(request.guide)
        self._explain, self._owner = explain, owner
        self._outbox = Outbox()
        self._pieces: list[Piece] = []  # the last one has a finish_reason
        self._error: BaseException | None = None
        self._is_over = False  # no more pieces will come
        self._num_tokens = self._num_reasoning = self._num_computed = 0
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        try:
            for token_id in request.output_ids:  # what it was resumed with
                self._push(token_id)
            if not request.max_tokens:
                self._finish("length", self._started_s)
        except Exception as e:
            self._fail(e)
        if not self._is_over:
            thread.submit(request, self._outbox)

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of the prompt, special ones included."""
        return self._request.num_prompt_tokens

    @property
    def is_read(self) -> bool:
        """Whether the answer was read to its end, or to what failed."""
        return self._is_over

    def cancel(self) -> None:
        """Ends the request; what was generated so far stays, and the last piece has finish_reason "cancelled"."""
        if not self._is_over and not self._thread.is_foreign:
            self._thread.abort(self._request)
            self._outbox.put(CANCELLED)

    def answer_now(self) -> None:
        """Closes the thinking as soon as the engine can, so that the answer comes; nothing changes outside of it."""
        if not self._is_over:
            self._thread.steer(self._request, self._turn.end_thinking)

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
        self._thread.require_own_process()
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

    def __repr__(self) -> str:
        state = "ended" if self._is_over else "open"
        return f"<Generation, {state}: {self._num_tokens} tokens of an answer to {self.num_prompt_tokens}>"

    def __del__(self) -> None:
        if hasattr(self, "_is_over") and not self._is_over:
            self._thread.abort(self._request)

    async def _result_async(self) -> Answer:
        at = 0
        while await self._wait_async(at) is not None:
            at += 1
        return self._whole()

    def _whole(self) -> Answer:
        return self._turn.answer(self._pieces)

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
        self._thread.require_own_process()
        with self._outbox.reading:
            seen = self._outbox.num_changes
            return None if self._has(at) else seen

    def _has(self, at: int) -> bool:
        """Reads until there is a piece at an index, or an end before it; False when that takes more from the engine."""
        while len(self._pieces) <= at and not self._is_over:
            try:
                came_s, output = self._outbox.take()
            except IndexError:
                return False
            try:
                self._read(came_s, output)
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
        """Ends the request: what came of it cannot be read."""
        self._thread.abort(self._request)
        self._error, self._is_over = AnswerError.of(error), True

    def _read(self, came_s: float, output: StepOutput | BaseException | str) -> None:
        if isinstance(output, str):  # CANCELLED
            self._finish(output, came_s)
        elif isinstance(output, BaseException):
            self._error, self._is_over = self._explain(output), True
        elif output.token_id is None:
            if not output.finish_reason:
                self._num_computed = max(self._num_computed, output.num_computed)  # a step may begin again
                progress = (self._num_computed, self._request.num_prompt_tokens)
                self._pieces.append(self._piece(Delta(), prompt_progress=progress))
        else:
            self._first_s = self._first_s or came_s
            self._push(output.token_id, output.logprob)
            if self._reader.stop_text is not None and not output.finish_reason:
                self._thread.abort(self._request)
            if self._reader.stop_text is not None:
                self._finish("stop", came_s)
            elif output.finish_reason:
                self._finish(output.finish_reason, came_s, self._request.stop_reason)

    def _push(self, token_id: int, logprob: TokenLogprob | None = None) -> None:
        delta, logprobs = self._reader.push(token_id, logprob)
        self._num_tokens += 1
        self._num_reasoning += bool(delta.reasoning_content)
        self._pieces.append(self._piece(delta, token_ids=(token_id,), logprobs=logprobs))

    def _piece(self, delta: Delta, **fields: Any) -> Piece:
        request = self._request
        return Piece(
            delta.content,
            delta.reasoning_content,
            delta.tool_calls,
            prompt_tokens=request.num_prompt_tokens,
            prompt_cached=request.num_cached,
            **fields,
        )

    def _finish(self, finish_reason: str, came_s: float, stop_reason: str | None = None) -> None:
        (delta, logprobs), request = self._reader.finish(finish_reason), self._request
        first_s = self._first_s or came_s
        self._pieces.append(
            self._piece(
                delta,
                finish_reason=delta.finish_reason,
                usage=Usage(request.num_prompt_tokens, self._num_tokens, request.num_cached, self._num_reasoning),
                timings=Timings(first_s - self._started_s, came_s - first_s, max(request.num_steps - 1, 0)),
                warnings=delta.warnings,
                logprobs=logprobs,
                stop_text=self._reader.stop_text,
                stop_reason=stop_reason,
            )
        )
        self._is_over = True
        if self._done is not None:
            self._done(request, self._num_tokens, self._whole())


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


def logits_of(thread: EngineThread, request: Request) -> np.ndarray:
    """Waits for the logits f32[tokens, vocab] of a request that wants nothing else."""
    outbox: SimpleQueue[StepOutput | BaseException] = SimpleQueue()
    parts: list[np.ndarray] = []
    done = False
    thread.submit(request, outbox)
    try:
        while not done:
            output = outbox.get()
            if isinstance(output, BaseException):
                raise output
            if output.logits is not None:
                parts.append(output.logits)
            done = output.finish_reason is not None
    finally:
        thread.abort(request)
    return np.concatenate(parts)


def read_ahead(
    thread: EngineThread,
    turn: ChatTurn,
    answer: ChatCompletion,
    most: int,
    forms: Callable[[list[int]], np.ndarray] | None,
) -> None:
    """Has the beginning of the next turn's prompt computed in idle time, at most so many tokens; returns at once.
    forms: those of a prompt's ids, where a session knows them."""

    def submit() -> None:
        with suppress(Exception):  # it only saves time, whatever a template makes of the turn
            ids = turn.following(answer.message())[:most]
            thread.submit(Request(ids, Sampling(), 0, forms=None if forms is None else forms(ids), kind=Kind.IDLE))

    if answer.finish_reason != CANCELLED:
        # Not a daemon: Python would end it within compiled code, which ends the process.
        with suppress(RuntimeError):  # no thread can be had
            threading.Thread(target=submit, name="kimi-cpu read-ahead").start()


def explain(path: Path, error: BaseException) -> BaseException:
    """The error of the engine as the caller gets it: it names the file whose weights gave NaN."""
    if not isinstance(error, NonFiniteLogits):
        return error
    told = NonFiniteLogits(
        f"{path} gives NaN or infinity for this request: its weights are damaged, or were so when it was converted. "
        f"Check it with: kimi-cpu verify {path}"
    )
    told.__cause__ = error
    return told


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
