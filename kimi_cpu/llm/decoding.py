"""One request from the caller's side: it feeds the engine and turns what comes back into pieces of text."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from ..chat.parser import Delta
from ..engine import EngineClient, Kind, Request, Sampling, StepOutput, TokenLogprob
from ..errors import NonFiniteLogits
from .generation import Generation
from .reading import CANCELLED
from .results import Answer, ChatCompletion, Piece, Timings, Usage
from .turn import ChatTurn, Turn


class Decoding(Generation[Answer]):
    """One request to the engine, whose tokens become pieces of text on the reader's thread."""

    def __init__(
        self,
        engine: EngineClient,
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
        super().__init__()
        self._engine, self._request, self._turn, self._done = engine, request, turn, done
        self._reader = turn.reader(request.guide)
        self._explain, self._owner = explain, owner
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
            engine.submit(request, self._outbox)

    @property
    def num_prompt_tokens(self) -> int:
        return self._request.num_prompt_tokens

    def cancel(self) -> None:
        if not self._is_over and not self._engine.is_foreign:
            self._engine.abort(self._request)
            self._outbox.put(CANCELLED)

    def answer_now(self) -> None:
        if not self._is_over:
            self._engine.end_thinking(self._request)

    def __repr__(self) -> str:
        state = "ended" if self._is_over else "open"
        return f"<Generation, {state}: {self._num_tokens} tokens of an answer to {self.num_prompt_tokens}>"

    def __del__(self) -> None:
        if hasattr(self, "_is_over") and not self._is_over:
            self._engine.abort(self._request)

    def _whole(self) -> Answer:
        return self._turn.answer(self._pieces)

    def _stop(self) -> None:
        self._engine.abort(self._request)

    def _require_own_process(self) -> None:
        self._engine.require_own_process()

    def _read(self, came_s: float, item: StepOutput | BaseException | str) -> None:
        if isinstance(item, str):  # CANCELLED
            self._finish(item, came_s)
        elif isinstance(item, BaseException):
            self._error, self._is_over = self._explain(item), True
        elif item.token_id is None:
            if not item.finish_reason:
                self._num_computed = max(self._num_computed, item.num_computed)  # a step may begin again
                progress = (self._num_computed, self._request.num_prompt_tokens)
                self._pieces.append(self._piece(Delta(), prompt_progress=progress))
        else:
            self._first_s = self._first_s or came_s
            self._push(item.token_id, item.logprob)
            if self._reader.stop_text is not None and not item.finish_reason:
                self._engine.abort(self._request)
            if self._reader.stop_text is not None:
                self._finish("stop", came_s)
            elif item.finish_reason:
                self._finish(item.finish_reason, came_s, self._request.stop_reason)

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


def logits_of(engine: EngineClient, request: Request) -> np.ndarray:
    """Waits for the logits f32[tokens, vocab] of a request that wants nothing else."""
    outbox: SimpleQueue[StepOutput | BaseException] = SimpleQueue()
    parts: list[np.ndarray] = []
    done = False
    engine.submit(request, outbox)
    try:
        while not done:
            output = outbox.get()
            if isinstance(output, BaseException):
                raise output
            if output.logits is not None:
                parts.append(output.logits)
            done = output.finish_reason is not None
    finally:
        engine.abort(request)
    return np.concatenate(parts)


def read_ahead(
    engine: EngineClient,
    turn: ChatTurn,
    answer: ChatCompletion,
    most: int,
    forms: Callable[[np.ndarray], np.ndarray] | None,
) -> None:
    """Has the beginning of the next turn's prompt computed in idle time, at most so many tokens; returns at once.
    forms: those of a prompt's ids, where a session knows them."""

    def submit() -> None:
        with suppress(Exception):  # it only saves time, whatever a template makes of the turn
            ids = turn.following(answer.message())[:most]
            engine.submit(Request(ids, Sampling(), 0, forms=None if forms is None else forms(ids), kind=Kind.IDLE))

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
