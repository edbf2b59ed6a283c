"""add, step, abort: the loop from scheduled tokens to drawn ones. Knows nothing but ids."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from ..model import PAGE_TOKENS, ForwardBatch, KVCache
from .batching import forward_batch
from .block_pool import BlockPool
from .drawing import TokenLogprob, draw
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
    logprob: TokenLogprob | None  # for requests that asked for it
    logits: np.ndarray | None  # f32[n, vocab], for requests that asked for logits
    num_computed: int  # tokens whose latents are there: how far the prompt is


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
        rows = {request: [] for request, _ in step}
        for row, request in enumerate(owners):
            rows[request].append(row)
        outputs = []
        for request, _ in step:
            token_id, logprob, wanted = None, None, None
            if request.logits:
                wanted = logits[rows[request]]
                request.finish_reason = "length" if request.num_missing == 0 else None
            elif rows[request]:
                token_id, logprob = draw(logits[rows[request][0]], request)
                request.output_ids.append(token_id)
                request.finish_reason = _finish_reason(request, token_id)
            outputs.append(StepOutput(request, token_id, request.finish_reason, logprob, wanted, request.num_computed))
            if request.finish_reason:
                self.scheduler.remove(request)
        return outputs


def _finish_reason(request: Request, token_id: int) -> str | None:
    if token_id in request.stop_ids and not request.sampling.ignore_eos:
        return "stop"
    return "length" if len(request.output_ids) >= request.max_tokens else None
