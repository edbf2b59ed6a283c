"""The answers to one HTTP request, as they come: pieces of several sequences in one stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..llm import LLM, ChatCompletion, Completion, Generation, Piece
from .metrics import Watch

if TYPE_CHECKING:
    from .service import Service


class Call(NamedTuple):
    """A prompt (text, ids or messages), the number of answers wanted, and the keywords of LLM.samples."""

    prompt: str | list
    options: dict
    n: int = 1


class Indexed(NamedTuple):
    """A piece, and which of the request's answers it belongs to."""

    index: int
    piece: Piece


class Answers:
    """Iterate for (index, piece); close when done or left, which ends what still runs at once."""

    def __init__(self, answer_id: str, service: "Service", num_places: int):
        self.id = answer_id
        self._service, self._num_places = service, num_places
        self._generations: list[Generation] = []
        self._tasks: list[asyncio.Task] = []
        self._queue: asyncio.Queue[Indexed | BaseException] = asyncio.Queue()
        self._num_open = 0
        self._started_s = time.monotonic()
        self._is_closed = False

    async def start(self, llm: LLM, call: Call) -> None:
        """Begins the answers to one call. KimiError: the request cannot be served."""
        generations, messages = await self._service.preparation.run(call, partial(self._begin, llm, call))
        for generation in generations:
            index = len(self._generations)
            self._generations.append(generation)
            self._num_open += 1
            self._tasks.append(asyncio.create_task(self._follow(index, generation, messages)))

    def _begin(self, llm: LLM, call: Call) -> tuple[list[Generation], list[Mapping] | None]:
        """The generations, and a chat's messages as the model sees them."""
        prompt = call.prompt
        if not (isinstance(prompt, list) and prompt and isinstance(prompt[0], Mapping)):
            return llm.samples(prompt, call.n, **call.options), None
        messages = self._service.memory.restored(prompt)
        self._service.metrics.restored.inc(sum(a is not b for a, b in zip(messages, prompt, strict=True)))
        return llm.samples(messages, call.n, **call.options), messages

    async def __aiter__(self) -> AsyncIterator[Indexed]:
        while self._num_open or not self._queue.empty():
            item = await self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item.piece.finish_reason is not None:
                self._num_open -= 1
            yield item

    async def whole(self) -> list[ChatCompletion | Completion]:
        """Waits for all answers. Raises what one of them raises."""
        async for _ in self:
            pass
        return [generation.result() for generation in self._generations]

    def end_thinking(self) -> None:
        """All answers that still think close their thinking now."""
        for generation in self._generations:
            generation.answer_now()

    def fail(self, error: Exception) -> None:
        """Ends all answers with an error for the client."""
        for generation in self._generations:
            generation.cancel()
        self._queue.put_nowait(error)

    def close(self) -> None:
        """Ends what still runs and frees the places. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        for generation, task in zip(self._generations, self._tasks, strict=True):
            if not task.done():
                generation.cancel()
                task.cancel()
                self._service.metrics.finished.labels("abort").inc()
        self._service.release(self, self._num_places, time.monotonic() - self._started_s)

    async def _follow(self, index: int, generation: Generation, messages: list[Mapping] | None) -> None:
        """Carries one sequence's pieces into the queue."""
        watch = Watch(self._service.metrics)
        try:
            async for piece in generation:
                watch.saw(piece)
                if piece.finish_reason is not None and messages is not None:
                    turn = generation.result()
                    if turn.tool_calls:
                        remember = self._service.memory.remember
                        await asyncio.to_thread(remember, messages, turn.tool_calls, turn.reasoning_content)
                self._queue.put_nowait(Indexed(index, piece))
        except Exception as e:
            self._service.metrics.finished.labels("error").inc()
            self._queue.put_nowait(e)
