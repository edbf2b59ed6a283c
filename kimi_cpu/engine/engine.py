"""add, step, abort: the loop from scheduled tokens to drawn ones. Knows nothing but ids."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from ..model import PAGE_TOKENS, ForwardBatch, KVCache, sample
from ..model.sampler import penalize
from .batching import forward_batch, sampling_batch
from .block_pool import BlockPool
from .request import Request
from .scheduler import Scheduled, Scheduler


class Model(Protocol):
    """The seam to the model: one forward pass."""

    max_tokens: int

    def forward(self, batch: ForwardBatch, cache: KVCache, cancelled: Callable[[], bool]) -> np.ndarray | None:
        """Logits f32[N, vocab] of the rows asked for; None when `cancelled` said so between two layers."""


class StepOutput(NamedTuple):
    """What one step brought for one request."""

    request: Request
    token_id: int | None  # None: only a piece of the prompt was computed
    finish_reason: str | None
    logits: np.ndarray | None = None  # f32[n, vocab], for requests that asked for logits


class Engine:
    """Runs requests over one model and one cache. Used by one thread at a time."""

    def __init__(self, model: Model, cache: KVCache, vocab_size: int, max_running: int = 1):
        self.model, self.cache = model, cache
        pool = BlockPool(cache.num_pages)
        self.scheduler = Scheduler(pool, model.max_tokens, max_running, vocab_size, cache.copy_page)

    @property
    def context(self) -> int:
        """Tokens that one request may hold."""
        return self.cache.num_pages * PAGE_TOKENS

    @property
    def has_work(self) -> bool:
        return bool(self.scheduler.waiting or self.scheduler.running)

    def add(self, request: Request) -> None:
        """Queues a request."""
        self.scheduler.add(request)

    def abort(self, request: Request) -> None:
        """Forgets a request; its pages are free."""
        self.scheduler.remove(request)

    def step(self) -> list[StepOutput]:
        """One forward pass over what the scheduler chose, and one token for each request that is due.

        Empty when a request of the step was aborted meanwhile: the others lose the step and nothing else.
        """
        step = self.scheduler.schedule()
        if not step:
            return []
        batch, owners = forward_batch(step)
        logits = self.model.forward(batch, self.cache, lambda: any(s.request.aborted for s in step))
        if logits is None:
            return []
        self.scheduler.computed(step)
        return self._outputs(step, owners, logits)

    def _outputs(self, step: list[Scheduled], owners: list[Request], logits: np.ndarray) -> list[StepOutput]:
        drawing = [row for row, request in enumerate(owners) if not request.logits]
        drawn = dict(zip([owners[row] for row in drawing], self._sample(logits, owners, drawing), strict=True))
        outputs = []
        for request, _ in step:
            token_id, rows = drawn.get(request), None
            if request.logits:
                rows = logits[[row for row, owner in enumerate(owners) if owner is request]]
                request.finish_reason = "length" if request.num_missing == 0 else None
            elif token_id is not None:
                request.output_ids.append(token_id)
                request.finish_reason = _finish_reason(request, token_id)
            if request.finish_reason:
                self.scheduler.remove(request)
            outputs.append(StepOutput(request, token_id, request.finish_reason, rows))
        return outputs

    def _sample(self, logits: np.ndarray, owners: list[Request], drawing: list[int]) -> list[int]:
        """One id for each row in `drawing`: forced, or drawn from the logits that penalties and masks leave."""
        if not drawing:
            return []
        requests = [owners[row] for row in drawing]
        rows = np.stack([_adjust(logits[row], owners[row]) for row in drawing])
        ids = sample(rows, sampling_batch(requests)).tolist()
        for i, request in enumerate(requests):
            if request.guide is not None:
                forced = request.guide.forced()
                ids[i] = ids[i] if forced is None else forced
                request.guide.accept(ids[i])
        return ids


def _adjust(row: np.ndarray, request: Request) -> np.ndarray:
    if request.sampling.repeat_penalty != 1:
        seen = np.unique(np.asarray(request.prompt_ids + request.output_ids))
        row = penalize(row, seen, request.sampling.repeat_penalty)
    mask = request.guide.mask() if request.guide is not None else None
    return row if mask is None else np.where(mask, row, -np.inf)


def _finish_reason(request: Request, token_id: int) -> str | None:
    if token_id in request.stop_ids and not request.sampling.ignore_eos:
        return "stop"
    return "length" if len(request.output_ids) >= request.max_tokens else None
