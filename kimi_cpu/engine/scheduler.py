"""The tokens of the next step, one of every decoding request and prompts in chunks beside them, and its arrays."""

from collections import deque
from collections.abc import Sequence
from itertools import accumulate, islice
from typing import NamedTuple

import numpy as np

from ..model import PAGE_TOKENS, ForwardBatch
from .prefix_cache import PrefixCache
from .request import ABSORBED, Kind, Request

MAX_IDLE = 16  # idle requests that are kept; the oldest are forgotten
LOGITS_STEP_BYTES = 64 << 20  # logits of a whole prompt are handed out in pieces of at most this size


class Scheduled(NamedTuple):
    """num_tokens tokens of a request, from request.num_computed on, run in a step, and after them a draft."""

    request: Request
    num_tokens: int
    draft_ids: Sequence[int] = ()
    error: Exception | None = None  # why no draft could be made, which ends the request


class Fairness:
    """Time that prompts owe to running answers: as much as each piece of a prompt took that ran beside them."""

    def __init__(self, is_on: bool):
        """is_on: else prompts owe nothing."""
        self._is_on, self._owed_s = is_on, 0.0

    @property
    def lets_prompts_run(self) -> bool:
        """Whether prompts may be computed beside answers now."""
        return self._owed_s <= 0

    def settle(self, seconds: float, has_answers: bool, has_prompts: bool) -> None:
        """A step took so long. has_answers: there were running answers. has_prompts: it computed pieces of prompts."""
        if not self._is_on or not has_answers:
            self._owed_s = 0.0
        elif has_prompts:
            self._owed_s = seconds
        else:
            self._owed_s -= seconds


class Scheduler:
    """First come, first served, with preemption of the youngest when pages run out.

    At most `depth` steps are in flight, among which the running requests are divided: a request is in one of them at a
    time, and keeps its pages until that is finished. max_tokens bounds a step, max_running the requests that run. A
    request must fit into the cache when it is alone there; the caller sees to that.
    """

    def __init__(
        self, cache: PrefixCache, fairness: Fairness, max_tokens: int, max_running: int, vocab_size: int, depth: int
    ):
        self.cache, self.fairness = cache, fairness
        self.max_tokens, self.max_running, self.depth = max_tokens, max_running, depth
        self.max_logits_rows = max(1, LOGITS_STEP_BYTES // (4 * vocab_size))
        self.waiting: deque[Request] = deque()
        self.idle: deque[Request] = deque(maxlen=MAX_IDLE)  # run one at a time, when nothing else is there
        self.running: list[Request] = []  # oldest first
        self.in_flight: set[Request] = set()  # in steps that are not finished
        self.leaving: set[Request] = set()  # those of them that were removed meanwhile

    def add(self, request: Request) -> None:
        """Queues a request, which does the work of idle ones that its prompt begins with."""
        for idle in [idle for idle in self.idle if request.begins_with(idle)]:
            self.idle.remove(idle)
        (self.idle if request.kind is Kind.IDLE else self.waiting).append(request)

    def remove(self, request: Request) -> None:
        """Forgets a request, finished or aborted. Its pages are free, once no step in flight writes them, and stay
        findable until they are reused."""
        if request in self.running:
            self.running.remove(request)
            if request in self.in_flight:
                self.leaving.add(request)
            else:
                self.cache.release(request)
        elif request in self.waiting:
            self.waiting.remove(request)
        elif request in self.idle:
            self.idle.remove(request)

    def schedule(self) -> list[Scheduled]:
        """The next step, in flight until it is retired; empty when nothing can run now.

        Every token in it has its place in a page.
        """
        self._give_way()
        self._admit()
        step: list[Scheduled] = []
        for request, count in self._share_budget().items():  # oldest first: it always finds its pages
            if request in self.running and self._grow(request, request.num_computed + count):
                step.append(Scheduled(request, count))
        self.in_flight.update([scheduled.request for scheduled in step])
        return step

    def retire(self, step: list[Scheduled]) -> list[Scheduled]:
        """Ends the flight of a step; returns the part of it whose requests were not removed meanwhile."""
        self.in_flight.difference_update([scheduled.request for scheduled in step])
        if not self.leaving:
            return step
        gone = self.leaving.intersection([scheduled.request for scheduled in step])
        self.leaving -= gone
        for request in gone:
            self.cache.release(request)
        return [scheduled for scheduled in step if scheduled.request not in gone]

    def room_for_draft(self, request: Request, count: int) -> int:
        """Number of drafted tokens after a request's last one, at most `count`, that find a page; takes free pages."""
        while count and not self.cache.grow(request, request.num_tokens + count):
            count -= 1
        return count

    @property
    def has_answers(self) -> bool:
        """Whether requests that decode are running."""
        return any(request.num_missing == 1 for request in self.running)

    def _share_budget(self) -> dict[Request, int]:
        """Tokens of the requests of the next step: one for those that decode, equal shares of the rest for the others.

        With several steps in flight each takes its part of the running requests, the oldest that are in none.
        """
        ready = [request for request in self.running if request not in self.in_flight]
        if not self.fairness.lets_prompts_run and self.has_answers:
            ready = [request for request in ready if request.num_missing == 1]
        ready = ready[: -(-len(self.running) // self.depth)]
        shares = {request: 1 for request in ready[: self.max_tokens] if request.num_missing == 1}
        budget = self.max_tokens - len(shares)
        filling = sorted((r for r in ready if r.num_missing > 1), key=lambda r: r.num_missing)
        for place, request in enumerate(filling):  # short ones first: what they leave goes to the longer
            share = -(-budget // (len(filling) - place))
            limit = self.max_logits_rows if request.kind is Kind.LOGITS else request.num_missing
            shares[request] = min(share, limit, request.num_missing)
            budget -= shares[request]
        return {request: shares[request] for request in ready if shares.get(request)}

    def _admit(self) -> None:
        for request in list(self.waiting):
            if len(self.running) >= self.max_running:
                return
            parent = request.parent
            if parent is not None and parent in self.running:
                if parent.num_computed < parent.num_prompt_tokens:
                    continue  # its prompt is being computed; this one takes the pages
                self.cache.share(parent)
            if not self.cache.acquire(request, spare=len(self.running)):  # each may need a page in the next steps
                return
            self.waiting.remove(request)
            self.running.append(request)

    def _grow(self, request: Request, num_tokens: int) -> bool:
        """Finds pages for num_tokens tokens of a request, if need be those of the youngest; False: it has to wait."""
        while not self.cache.grow(request, num_tokens):
            youngest = next(other for other in reversed(self.running) if other not in self.in_flight)
            if youngest is request and self.in_flight:
                return False  # what is in flight gives pages back, or can be preempted then
            self.preempt(youngest)
            if youngest is request:
                return False
        return True

    def preempt(self, request: Request) -> None:
        """Takes a request's pages away; it goes to the head of the queue and recomputes what is not found again."""
        assert request is not self.running[0], "the oldest request fits into the pool"
        assert request not in self.in_flight, "a step writes its pages"
        self.running.remove(request)
        self.cache.release(request)
        request.restart()
        self.waiting.appendleft(request)

    def _give_way(self) -> None:
        """Takes up an idle request when there is no other; one that was taken up gives way to any other, for good where
        that does its work."""
        if not self.running and not self.waiting:
            if self.idle:
                self.waiting.append(self.idle.popleft())
        elif len(self.running) + len(self.waiting) > 1:
            for request in [*self.running, *islice(self.waiting, 1)]:  # an idle one came to an empty queue
                if request.kind is Kind.IDLE and request not in self.in_flight:
                    self.remove(request)
                    request.restart()
                    if not any(other.begins_with(request) for other in (*self.running, *self.waiting)):
                        self.idle.append(request)


class _Span(NamedTuple):
    """Consecutive tokens of one request that run in the same form; absorbed ones are spans of one token."""

    request: Request
    start: int
    ids: list[int]
    form: int


def forward_batch(step: list[Scheduled]) -> tuple[ForwardBatch, dict[Request, list[int]]]:
    """The arrays of a step, and the rows of its logits by request: those of the last token and of drafts where a token
    is to be drawn, or all."""
    spans = [span for scheduled in step for span in _spans(scheduled)]
    spans.sort(key=lambda s: s.form != ABSORBED)  # stable: decode rows come first
    starts = [0, *accumulate(len(s.ids) for s in spans)]
    blocks = {s.request: np.asarray(s.request.block_table, np.int32) for s in step}
    tables = np.zeros((len(spans), max(map(len, blocks.values()))), np.int32)
    ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    wanted: list[int] = []
    rows_of: dict[Request, list[int]] = {scheduled.request: [] for scheduled in step}
    in_order = sorted(zip(spans, starts[:-1], strict=True), key=lambda s: s[0].start)
    for span, start in in_order:  # a request's rows come in the order of its tokens, whatever form they have
        rows = range(start, start + len(span.ids))
        rows = rows if span.request.kind is Kind.LOGITS else rows[-1:] if _draws(span) else ()
        rows_of[span.request].extend(range(len(wanted), len(wanted) + len(rows)))
        wanted.extend(rows)
    for row, span in enumerate(spans):
        table, where = span.request.block_table, range(span.start, span.start + len(span.ids))
        tables[row, : len(table)] = blocks[span.request]
        ids += span.ids
        positions += where
        slots += [table[at // PAGE_TOKENS] * PAGE_TOKENS + at % PAGE_TOKENS for at in where]
    batch = ForwardBatch(
        token_ids=np.asarray(ids, np.int32),
        positions=np.asarray(positions, np.int32),
        slot_mapping=np.asarray(slots, np.int64),
        block_tables=tables,
        query_start_loc=np.asarray(starts, np.int32),
        seq_lens=np.asarray([s.start + len(s.ids) for s in spans], np.int32),
        logits_indices=np.asarray(wanted, np.int64),
        num_decode_seqs=sum(s.form == ABSORBED for s in spans),
    )
    return batch, rows_of


def _spans(scheduled: Scheduled) -> list[_Span]:
    request, start, draft_ids = scheduled.request, scheduled.request.num_computed, scheduled.draft_ids
    ids, forms = (part.tolist() for part in request.tokens(start, start + scheduled.num_tokens))
    ids += draft_ids
    forms += [ABSORBED] * len(draft_ids)  # they are computed as the generated tokens that they may become
    cuts = [i for i in range(1, len(ids)) if forms[i] == ABSORBED or forms[i] != forms[i - 1]]
    edges = zip([0, *cuts], [*cuts, len(ids)], strict=True)
    return [_Span(request, start + a, ids[a:b], forms[a]) for a, b in edges]


def _draws(span: _Span) -> bool:
    """Whether a token may be drawn after this span: it ends with the request's last token or one that was drafted."""
    return span.request.max_tokens > 0 and span.start + len(span.ids) >= span.request.num_tokens
