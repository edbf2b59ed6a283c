"""One request from the caller's side: it feeds the engine and turns what comes back into pieces of text."""

import queue
import time
from collections.abc import Iterator

from ..chat.stop import StopTexts
from ..engine import EngineThread, Request
from ..tokenizer import StreamDecoder, Tokenizer
from .results import Piece, Timings, Usage


class Generation:
    """An open request; iterate for its pieces. Leaving the iteration early, or cancel(), ends it in the engine."""

    def __init__(self, thread: EngineThread, request: Request, tokenizer: Tokenizer | None):
        self._thread, self._request = thread, request
        self._decoder = StreamDecoder(tokenizer) if tokenizer is not None else None
        self._stops = StopTexts(request.sampling.stop)
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._outbox: queue.SimpleQueue = thread.submit(request)

    def cancel(self) -> None:
        """Ends the request; what was generated so far stays valid."""
        self._thread.abort(self._request)

    def __iter__(self) -> Iterator[Piece]:
        finish_reason = None
        try:
            while finish_reason is None:
                output = self._outbox.get()
                if isinstance(output, BaseException):
                    raise output
                if output.token_id is None:
                    continue
                self._first_s = self._first_s or time.perf_counter()
                text = self._text(output.token_id)
                finish_reason = "stop" if self._stops.stopped else output.finish_reason
                if finish_reason is None:
                    yield Piece(content=text, token_ids=(output.token_id,))
            text += self._end()
            yield Piece(text, "", (), (output.token_id,), finish_reason, self._usage(), self._timings())
        finally:
            if self._request.finish_reason is None:
                self.cancel()

    def _text(self, token_id: int) -> str:
        if self._decoder is None or (token_id in self._request.stop_ids and not self._request.sampling.ignore_eos):
            return ""
        return self._stops.push(self._decoder.push(token_id))

    def _end(self) -> str:
        """Text that was still held back: half a character, or the beginning of a stop text that did not come."""
        if self._decoder is None or self._stops.stopped:
            return ""
        return self._stops.push(self._decoder.flush()) + self._stops.flush()

    def _usage(self) -> Usage:
        return Usage(self._request.num_prompt_tokens, len(self._request.output_ids))

    def _timings(self) -> Timings:
        now = time.perf_counter()
        first = self._first_s or now
        return Timings(prefill_s=first - self._started_s, decode_s=now - first)
