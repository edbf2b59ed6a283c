"""add, step, abort: requests become steps of a model, and its logits their tokens. Knows nothing but ids."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import AnswerError, KimiError, ModelFileError, NonFiniteLogits
from ..model import ForwardBatch, Watch
from .disk_store import DiskStore
from .prefix_cache import Pages, PrefixCache
from .repetition import REPETITION
from .request import Kind, Request
from .sampling import TokenLogprob, check_finite, draw
from .scheduler import Fairness, Scheduled, Scheduler, forward_batch

PROGRESS_S = 0.5  # a step reports its prompts this often; a shorter one does not


class Model(Protocol):
    """The seam to the model: forward passes, and the pages of its cache, which it owns."""

    @property
    def max_tokens(self) -> int:
        """Of a batch."""
        ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def depth(self) -> int:
        """Batches that may be submitted before the first of them is done."""
        ...

    @property
    def pages(self) -> Pages: ...

    def submit(self, batch: ForwardBatch, watch: Watch) -> Future[np.ndarray | None]:
        """Logits f32[N, vocab] of the rows asked for; None when `watch` ended it."""
        ...


class Drafts(Protocol):
    """Guesses at what follows; see Speculation."""

    def propose(self, request: Request, num_rows: int, limit: int) -> list[int]:
        """Ids that may follow a request's last token."""
        ...

    def observe(self, num_rows: int, seconds: float) -> None:
        """A step of decode rows alone took so long."""


class StepOutput(NamedTuple):
    """The result of one step for one request: a token, logits, or how far the prompt is."""

    request: Request
    token_id: int | None  # None: only a piece of the prompt was computed, or the request failed
    finish_reason: str | None  # "stop", "length" or "error"
    logprob: TokenLogprob | None  # for requests that asked for it
    logits: np.ndarray | None  # f32[n, vocab], for requests that asked for logits
    num_computed: int  # tokens whose latents are there: how far the prompt is
    error: KimiError | None = None  # why the request failed, alone


class EngineState(NamedTuple):
    """Load of an engine: sequences that run and that wait, pages of the cache and those without a holder."""

    num_running: int
    num_waiting: int
    num_pages: int
    num_free_pages: int


@dataclass(eq=False)
class Plan:
    """A step in flight: the batch that the model computes, and the requests that it is for."""

    step: list[Scheduled]
    batch: ForwardBatch
    rows: dict[Request, list[int]]  # of the logits: each request's
    watch: "StepWatch"
    started_s: float
    has_answers: bool  # answers were running, in this step or others
    has_prompts: bool  # it computes pieces of prompts
    drafting: bool  # drafts were sought


class Engine:
    """Runs requests over one model. Used by one thread at a time.

    fair: running answers get as much time alone as each piece of a prompt took that was computed beside them; else
    prompts are computed as soon as they can be. interrupted: whether a step of an idle request is to end. is_halted:
    whether every step is to end, to be computed again. report: told of prompts while a long step runs. clock: seconds.
    """

    def __init__(
        self,
        model: Model,
        max_running: int = 1,
        speculation: Drafts | None = None,
        store: DiskStore | None = None,
        fair: bool = False,
    ):
        self.model, self.speculation = model, speculation
        self.interrupted: Callable[[], bool] = lambda: False
        self.report: Callable[[StepOutput], None] = lambda output: None
        self.is_halted = False
        self.clock: Callable[[], float] = time.perf_counter
        self.cache, self.fairness = PrefixCache(model.pages, store), Fairness(fair)
        self.scheduler = Scheduler(
            self.cache, self.fairness, model.max_tokens, max_running, model.vocab_size, model.depth
        )
        self._plans: list[Plan] = []  # in flight, oldest first
        self._futures: dict[Plan, Future[np.ndarray | None]] = {}

    @property
    def state(self) -> EngineState:
        """The load now. From any thread."""
        scheduler, pool = self.scheduler, self.cache.pool
        return EngineState(len(scheduler.running), len(scheduler.waiting), pool.num_blocks, pool.num_free)

    @property
    def has_work(self) -> bool:
        """Whether a step has something to do."""
        s = self.scheduler
        return bool(self._plans or s.running or s.waiting or s.idle or self.cache.has_pending)

    def add(self, request: Request) -> None:
        """Queues a request."""
        self.scheduler.add(request)

    def abort(self, request: Request) -> None:
        """Forgets a request; its pages are free, once no step in flight writes them."""
        self.scheduler.remove(request)

    def fail(self, request: Request, error: BaseException) -> StepOutput:
        """Ends a request with an error; its pages are free, and not found again where they may hold NaN."""
        request.finish_reason = "error"
        if isinstance(error, NonFiniteLogits):
            self.cache.disown(request)
        self.scheduler.remove(request)
        return StepOutput(request, None, "error", None, None, request.num_computed, AnswerError.of(error))

    def look(self) -> None:
        """Ends the steps in flight that have become unwanted, within a layer. From any thread, after an abort."""
        for plan in tuple(self._plans):
            plan.watch.look()

    def settle(self) -> None:
        """Ends the steps in flight, which will be computed again, and writes the pages that wait for it to disk."""
        self.drain()
        while self.cache.has_pending:
            self.cache.write_pending()

    def drain(self) -> None:
        """Ends the steps in flight; their results are lost."""
        for plan in tuple(self._plans):
            plan.watch.stop[0] = 1
        for plan in tuple(self._plans):
            with suppress(BaseException):
                self._futures.pop(plan).result()
            self.finish(plan, None)

    def step(self) -> list[StepOutput]:
        """Has the model compute as many steps at once as it takes, and finishes the first of them; see `finish`.

        A ModelFileError of the model ends the requests of that step: their weights cannot be read. Any other exception
        leaves all requests as they were before it.
        """
        while len(self._plans) < self.scheduler.depth and (plan := self.begin()) is not None:
            self._futures[plan] = self.model.submit(plan.batch, plan.watch)
        if not self._plans:
            return []
        plan = self._plans[0]
        try:
            logits = self._futures.pop(plan).result()
        except ModelFileError as e:
            self.finish(plan, None)
            return [self.fail(s.request, ModelFileError(str(e))) for s in plan.step if not s.request.aborted]
        except BaseException:
            self.finish(plan, None)
            raise
        return self.finish(plan, logits)

    def begin(self) -> Plan | None:
        """The next step, which is in flight from now on; None when nothing can run now.

        One page that waits for it is written to disk besides.
        """
        self.cache.write_pending()
        step = self.scheduler.schedule()
        if not step:
            return None
        started_s = self.clock()
        has_prompts = any(scheduled.request.num_missing > 1 for scheduled in step)
        has_answers = not has_prompts or self.scheduler.has_answers
        drafting = False
        if self.speculation is not None and not has_prompts:
            drafting = all(scheduled.request.output_ids for scheduled in step)
            step = self._with_drafts(self.speculation, step) if drafting else step
        batch, rows = forward_batch(step)
        plan = Plan(step, batch, rows, StepWatch(step, self), started_s, has_answers, has_prompts, drafting)
        self._plans.append(plan)
        return plan

    def finish(self, plan: Plan, logits: np.ndarray | None) -> list[StepOutput]:
        """The results of a step for its requests: tokens for each that is due, one or more.

        logits: what the model gave for the plan's batch; None: nothing. Empty when the request was aborted meanwhile
        for which most of the step was computed: the others lose the step and nothing else.
        """
        self._plans.remove(plan)
        step = self.scheduler.retire(plan.step)
        if logits is None or plan.watch.stop[0]:
            return []
        outputs: list[StepOutput] = []
        for scheduled in step:
            if not scheduled.request.aborted:
                outputs += self._outputs(scheduled, logits[plan.rows[scheduled.request]])
        seconds = self.clock() - plan.started_s
        if self.speculation is not None and plan.drafting:
            self.speculation.observe(len(plan.batch.token_ids), seconds)
        self.fairness.settle(seconds, plan.has_answers, plan.has_prompts)
        return outputs

    def _with_drafts(self, speculation: Drafts, step: list[Scheduled]) -> list[Scheduled]:
        """The step with drafts, or with the reason why none could be made."""
        room = self.model.max_tokens - len(step)
        drafted: list[Scheduled] = []
        for scheduled in step:
            request = scheduled.request
            limit = min(room, request.max_tokens - len(request.output_ids) - 1)
            try:
                draft = speculation.propose(request, len(step), limit)
            except Exception as e:
                drafted.append(scheduled._replace(error=e))
                continue
            draft = draft[: self.scheduler.room_for_draft(request, len(draft))]
            room -= len(draft)
            drafted.append(scheduled._replace(draft_ids=draft))
        return drafted

    def _outputs(self, scheduled: Scheduled, logits: np.ndarray) -> list[StepOutput]:
        """The results of a step for one request; an exception on its behalf ends this request and no other."""
        outputs: list[StepOutput] = []
        try:
            for output in self._drawn(scheduled, logits):
                outputs.append(output)
        except BaseException as e:  # a panic of the grammars' native library is no Exception
            outputs.append(self.fail(scheduled.request, e))
        return outputs

    def _drawn(self, scheduled: Scheduled, logits: np.ndarray) -> Iterator[StepOutput]:
        """The results of a step for one request, from its rows of logits."""
        request = scheduled.request
        if scheduled.error is not None:
            raise scheduled.error
        self.cache.commit(request, scheduled.num_tokens)
        if not request.max_tokens or not len(logits):
            check_finite(logits)
            done = not request.max_tokens and request.num_missing == 0
            wanted = logits if request.kind is Kind.LOGITS else None
            yield self._output(request, None, "length" if done else None, logits=wanted)
            return
        request.num_steps += 1
        for row, drafted in zip(logits, (*scheduled.draft_ids, None), strict=True):
            token_id, logprob = draw(row, request)
            request.output_ids.append(token_id)
            if token_id == drafted:
                self.cache.commit(request, 1)
            yield self._output(request, token_id, _finish_reason(request, token_id), logprob)
            if request.finish_reason or token_id != drafted:
                return

    def _output(
        self,
        request: Request,
        token_id: int | None,
        finish_reason: str | None,
        logprob: TokenLogprob | None = None,
        logits: np.ndarray | None = None,
    ) -> StepOutput:
        request.finish_reason = finish_reason
        if finish_reason:
            self.scheduler.remove(request)
        return StepOutput(request, token_id, finish_reason, logprob, logits, request.num_computed)


class StepWatch:
    """A step in flight as the model and other threads see it: they may end it, and hear how far it is."""

    def __init__(self, step: list[Scheduled], engine: Engine):
        self.stop = np.zeros(1, np.int64)  # see model.Watch
        self._step, self._engine, self._told_s = step, engine, engine.clock()
        self._is_idle = step[0].request.kind is Kind.IDLE

    def __call__(self, done: int, total: int) -> bool:
        """See model.Watch. Reports prompts: with half of the layers half of their tokens count as computed."""
        now_s = self._engine.clock()
        if done and now_s - self._told_s >= PROGRESS_S:
            self._told_s = now_s
            for request, count, *_ in self._step:
                if not request.output_ids and request.kind is not Kind.LOGITS:
                    num_computed = request.num_computed + count * done // total
                    self._engine.report(StepOutput(request, None, None, None, None, num_computed))
        return bool(self.stop[0]) or self._is_unwanted()

    def look(self) -> None:
        """Ends the step if it is unwanted now. From any thread."""
        if self._is_unwanted():
            self.stop[0] = 1

    def _is_unwanted(self) -> bool:
        """Whether the step is to end: few aborted tokens do not cost the many others their step."""
        if self._engine.is_halted:
            return True
        aborted = 0
        for scheduled in self._step:  # a loop, as this is asked before each layer
            if scheduled.request.aborted:
                aborted += scheduled.num_tokens
        if aborted and 2 * aborted > sum(scheduled.num_tokens for scheduled in self._step):
            return True
        return self._is_idle and self._engine.interrupted()


def _finish_reason(request: Request, token_id: int) -> str | None:
    """The reason for which an answer ends with its newest token, if it does."""
    if token_id in request.stop_ids and not request.sampling.ignore_eos:
        return "stop"
    if request.repetition is not None and request.repetition.ends(request.output_ids):
        request.stop_reason = REPETITION
        return "stop"
    return "length" if len(request.output_ids) >= request.max_tokens else None
