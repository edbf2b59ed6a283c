"""One request from the caller's side: it feeds the engine and turns what comes back into pieces of text."""

import queue
import time
from collections.abc import Callable, Iterator

from ..engine import EngineThread, Request
from .reading import ChatReader, RawReader
from .results import Piece, Timings, Usage


class Generation:
    """An open request; iterate for its pieces. Leaving the iteration early, or cancel(), ends it in the engine.

    The ids that a request was resumed with are its first pieces.
    done(request) is called once when the last token is there.
    """

    def __init__(
        self,
        thread: EngineThread,
        request: Request,
        reader: RawReader | ChatReader,
        done: Callable[[Request], None] | None = None,
    ):
        self._thread, self._request, self._reader, self._done = thread, request, reader, done
        self._num_reasoning = 0
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._resumed = tuple(request.output_ids)
        self._outbox: queue.SimpleQueue = thread.submit(request)

    def cancel(self) -> None:
        """Ends the request; what was generated so far stays valid."""
        self._thread.abort(self._request)

    def __iter__(self) -> Iterator[Piece]:
        finish_reason = None
        try:
            for token_id in self._resumed:
                yield self._piece(token_id)
            while finish_reason is None:
                output = self._outbox.get()
                if isinstance(output, BaseException):
                    raise output
                if output.token_id is None:
                    continue
                self._first_s = self._first_s or time.perf_counter()
                piece = self._piece(output.token_id)
                finish_reason = "stop" if self._reader.stopped else output.finish_reason
                yield piece
            if self._done is not None:
                self._done(self._request)
            yield self._last(finish_reason)
        finally:
            if self._request.finish_reason is None:
                self.cancel()

    def _piece(self, token_id: int) -> Piece:
        delta = self._reader.push(token_id)
        self._num_reasoning += bool(delta.reasoning_content)
        return Piece(delta.content, delta.reasoning_content, delta.tool_calls, (token_id,))

    def _last(self, finish_reason: str) -> Piece:
        delta, request = self._reader.finish(finish_reason), self._request
        now = time.perf_counter()
        first = self._first_s or now
        return Piece(
            delta.content,
            delta.reasoning_content,
            delta.tool_calls,
            (),
            delta.finish_reason,
            Usage(request.num_prompt_tokens, len(request.output_ids), request.num_cached, self._num_reasoning),
            Timings(prefill_s=first - self._started_s, decode_s=now - first),
            delta.warnings,
        )
