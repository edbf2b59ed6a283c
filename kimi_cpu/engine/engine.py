"""add, step, abort: the loop from scheduled tokens to drawn ones. Knows nothing but ids."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import AnswerError, KimiError, NonFiniteLogits
from ..model import ForwardBatch, Watch
from .batching import forward_batch
from .disk_store import DiskStore
from .prefix_cache import Pages, PrefixCache
from .request import Request
from .sampling import TokenLogprob, check_finite, draw
from .scheduler import Scheduled, Scheduler
from .watch import StepWatch


class Model(Protocol):
    """The seam to the model: forward passes, and the pages of its cache, which it owns."""

    max_tokens: int  # of a batch
    vocab_size: int
    pages: Pages

    def submit(self, batch: ForwardBatch, watch: Watch) -> Future[np.ndarray | None]:
        """Logits f32[N, vocab] of the rows asked for; None when `watch` ended it."""


class StepOutput(NamedTuple):
    """What one step brought for one request."""

    request: Request
    token_id: int | None  # None: only a piece of the prompt was computed, or the request failed
    finish_reason: str | None  # "stop", "length" or "error"
    logprob: TokenLogprob | None  # for requests that asked for it
    logits: np.ndarray | None  # f32[n, vocab], for requests that asked for logits
    num_computed: int  # tokens whose latents are there: how far the prompt is
    error: KimiError | None = None  # why the request failed, alone


class Drafts(Protocol):
    """Guesses at what follows; see Speculation."""

    def propose(self, request: Request, num_rows: int, limit: int) -> list[int]:
        """Ids that may follow a request's last token."""

    def observe(self, num_rows: int, seconds: float) -> None:
        """A step of decode rows alone took so long."""


class EngineState(NamedTuple):
    """How busy an engine is: sequences that run and that wait, pages of the cache and those that nobody holds."""

    num_running: int
    num_waiting: int
    num_pages: int
    num_free_pages: int


class Engine:
    """Runs requests over one model. Used by one thread at a time.

    fair: running answers get as much time alone as each piece of a prompt took that was computed beside them; else
    prompts are computed as soon as they can be. interrupted: whether a step of an idle request is to end. report: told
    of prompts while a long step runs. clock: seconds.
    """

    def __init__(
        self,
        model: Model,
        max_running: int = 1,
        speculation: Drafts | None = None,
        store: DiskStore | None = None,
        fair: bool = False,
    ):
        self.model, self.speculation, self.fair = model, speculation, fair
        self.interrupted: Callable[[], bool] = lambda: False
        self.report: Callable[[StepOutput], None] = lambda output: None
        self.clock: Callable[[], float] = time.perf_counter
        self._owed_s = 0.0  # to running answers
        self._watch = StepWatch(self._unwanted, self._tell, lambda: self.clock())
        self.cache = PrefixCache(model.pages, store)
        self.scheduler = Scheduler(self.cache, model.max_tokens, max_running, model.vocab_size)

    @property
    def state(self) -> EngineState:
        """How busy it is now; may be asked from any thread."""
        scheduler, pool = self.scheduler, self.cache.pool
        return EngineState(len(scheduler.running), len(scheduler.waiting), pool.num_blocks, pool.num_free)

    @property
    def has_work(self) -> bool:
        s = self.scheduler
        return bool(s.waiting or s.running or s.idle or self.cache.has_pending)

    def add(self, request: Request) -> None:
        """Queues a request."""
        self.scheduler.add(request)

    def abort(self, request: Request) -> None:
        """Forgets a request; its pages are free."""
        self.scheduler.remove(request)

    def fail(self, request: Request, error: BaseException) -> StepOutput:
        """Ends a request with an error; its pages are free, and not found again where they may hold NaN."""
        request.finish_reason = "error"
        if isinstance(error, NonFiniteLogits):
            self.cache.disown(request)
        self.scheduler.remove(request)
        return StepOutput(request, None, "error", None, None, request.num_computed, AnswerError.of(error))

    def look(self) -> None:
        """Ends the running step, within a layer, if it is not wanted any more. From any thread, after what changed."""
        self._watch.look()

    def close(self) -> None:
        """Writes what waits to be written to disk."""
        while self.cache.has_pending:
            self.cache.write_pending()

    def step(self) -> list[StepOutput]:
        """One forward pass over what the scheduler chose; tokens for each request that is due, one or more.

        Empty when the request was aborted meanwhile for which most of the step was computed: the others lose the step
        and nothing else. One page that waits for it is written to disk besides.
        """
        self.cache.write_pending()
        step = self.scheduler.schedule(prompts=self._owed_s <= 0)
        if not step:
            return []
        started_s, num_answers = self.clock(), sum(r.num_missing == 1 for r, *_ in step)
        num_prompts = len(step) - num_answers
        drafting = self.speculation is not None and not num_prompts and all(r.output_ids for r, *_ in step)
        outputs = []
        if drafting:
            step = self._with_drafts(step, outputs)
            if not step:
                return outputs
        batch, owners = forward_batch(step)
        self._watch.begin(step)
        logits = self.model.submit(batch, self._watch).result()
        if self._watch.end() or logits is None:
            return outputs
        rows = {request: [] for request, *_ in step}
        for row, request in enumerate(owners):
            rows[request].append(row)
        step = [scheduled for scheduled in step if not scheduled.request.aborted]
        for scheduled in step:
            outputs += self._outputs(scheduled, logits[rows[scheduled.request]])
        elapsed_s = self.clock() - started_s
        if drafting:
            self.speculation.observe(len(batch.token_ids), elapsed_s)
        if self.fair:
            self._settle(elapsed_s, num_answers, num_prompts)
        return outputs

    def _settle(self, elapsed_s: float, num_answers: int, num_prompts: int) -> None:
        """What prompts owe to answers after a step of so many of each."""
        if not num_answers:
            self._owed_s = 0.0
        elif num_prompts:
            self._owed_s = elapsed_s
        else:
            self._owed_s -= elapsed_s

    def _with_drafts(self, step: list[Scheduled], outputs: list[StepOutput]) -> list[Scheduled]:
        """The step with drafts; requests for which none can be made end, in outputs."""
        room, out = self.model.max_tokens - len(step), []
        for request, count, _ in step:
            limit = min(room, request.max_tokens - len(request.output_ids) - 1)
            try:
                draft = self.speculation.propose(request, len(step), limit)
            except Exception as e:
                outputs.append(self.fail(request, e))
                continue
            draft = draft[: self.scheduler.room_for_draft(request, len(draft))]
            room -= len(draft)
            out.append(Scheduled(request, count, tuple(draft)))
        return out

    def _tell(self, step: list[Scheduled], done: int, total: int) -> None:
        """Reports prompts in a step, `done` of whose layers are computed: that share of their tokens."""
        for request, count, _ in step:
            if not request.output_ids and not request.logits:
                output = StepOutput(request, None, None, None, None, request.num_computed + count * done // total)
                self.report(output)

    def _unwanted(self, step: list[Scheduled]) -> bool:
        """Whether a step is to end: few aborted tokens do not cost the many others their step."""
        aborted = sum(s.num_tokens for s in step if s.request.aborted)
        if aborted and 2 * aborted > sum(s.num_tokens for s in step):
            return True
        return step[0].request.idle and self.interrupted()

    def _outputs(self, scheduled: Scheduled, logits: np.ndarray) -> list[StepOutput]:
        """What a step brought for one request; whatever is raised on its behalf ends this request and no other."""
        outputs = []
        try:
            for output in self._drawn(scheduled, logits):
                outputs.append(output)
        except BaseException as e:  # a panic of the grammars' native library is no Exception
            outputs.append(self.fail(scheduled.request, e))
        return outputs

    def _drawn(self, scheduled: Scheduled, logits: np.ndarray) -> Iterator[StepOutput]:
        """What a step brought for one request, from its rows of logits."""
        request, count, draft_ids = scheduled
        self.cache.commit(request, count)
        if not request.max_tokens or not len(logits):
            check_finite(logits)
            done = not request.max_tokens and request.num_missing == 0
            yield self._output(request, None, None, "length" if done else None, logits if request.logits else None)
            return
        request.num_steps += 1
        for row, drafted in zip(logits, (*draft_ids, None), strict=True):
            token_id, logprob = draw(row, request)
            request.output_ids.append(token_id)
            if token_id == drafted:
                self.cache.commit(request, 1)
            yield self._output(request, token_id, logprob, _finish_reason(request, token_id))
            if request.finish_reason or token_id != drafted:
                return

    def _output(self, request, token_id, logprob, finish_reason, logits=None) -> StepOutput:
        request.finish_reason = finish_reason
        if finish_reason:
            self.scheduler.remove(request)
        return StepOutput(request, token_id, finish_reason, logprob, logits, request.num_computed)


def _finish_reason(request: Request, token_id: int) -> str | None:
    if token_id in request.stop_ids and not request.sampling.ignore_eos:
        return "stop"
    return "length" if len(request.output_ids) >= request.max_tokens else None
