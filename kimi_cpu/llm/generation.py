"""One request from the caller's side: it feeds the engine and turns what comes back into pieces of text."""

import queue
import time
from collections.abc import Callable, Iterator

from ..chat.deltas import Delta, Message, join
from ..engine import EngineThread, Request, TokenLogprob
from .reading import ChatReader, RawReader
from .results import Piece, Timings, Usage


class Generation:
    """An open request; iterate for its pieces. Leaving the iteration early, or cancel(), ends it in the engine.

    The ids that a request was resumed with are its first pieces.
    done(request, num_tokens, turn) is called once at the end: the answer has num_tokens, which may be fewer than the
    engine generated before a stop text was seen, and they read as turn.
    """

    def __init__(
        self,
        thread: EngineThread,
        request: Request,
        reader: RawReader | ChatReader,
        done: Callable[[Request, int, Message], None] | None = None,
    ):
        self._thread, self._request, self._reader, self._done = thread, request, reader, done
        self._num_tokens = self._num_reasoning = 0
        self._deltas: list[Delta] = []
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._resumed = tuple(request.output_ids)
        self._outbox: queue.SimpleQueue | None = thread.submit(request) if request.max_tokens else None

    def cancel(self) -> None:
        """Ends the request; what was generated so far stays valid."""
        self._thread.abort(self._request)

    def __iter__(self) -> Iterator[Piece]:
        finish_reason = None if self._request.max_tokens else "length"
        try:
            for token_id in self._resumed:
                yield self._piece(token_id)
            while finish_reason is None:
                output = self._outbox.get()
                if isinstance(output, BaseException):
                    raise output
                if output.token_id is None:
                    if not output.finish_reason:
                        yield Piece(prompt_progress=(output.num_computed, self._request.num_prompt_tokens))
                    continue
                self._first_s = self._first_s or time.perf_counter()
                piece = self._piece(output.token_id, output.logprob)
                finish_reason = "stop" if self._reader.stopped else output.finish_reason
                yield piece
            last = self._last(finish_reason)
            if self._done is not None:
                self._done(self._request, self._num_tokens, join(self._deltas))
            yield last
        finally:
            if self._request.finish_reason is None:
                self.cancel()

    def _piece(self, token_id: int, logprob: TokenLogprob | None = None) -> Piece:
        delta = self._reader.push(token_id)
        self._deltas.append(delta)
        self._num_tokens += 1
        self._num_reasoning += bool(delta.reasoning_content)
        logprobs = () if logprob is None else (logprob,)
        return Piece(delta.content, delta.reasoning_content, delta.tool_calls, (token_id,), logprobs=logprobs)

    def _last(self, finish_reason: str) -> Piece:
        delta, request = self._reader.finish(finish_reason), self._request
        self._deltas.append(delta)
        now = time.perf_counter()
        first = self._first_s or now
        return Piece(
            delta.content,
            delta.reasoning_content,
            delta.tool_calls,
            finish_reason=delta.finish_reason,
            usage=Usage(request.num_prompt_tokens, self._num_tokens, request.num_cached, self._num_reasoning),
            timings=Timings(prefill_s=first - self._started_s, decode_s=now - first),
            warnings=delta.warnings,
        )
