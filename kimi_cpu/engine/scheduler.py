"""Which tokens run in the next step: one of every decoding request, and prompts in chunks beside them."""

from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from ..model import PAGE_TOKENS
from .block_pool import ROOT, BlockPool, Match, Tokens, chain_key
from .disk_store import DiskStore
from .request import Request

MAX_IDLE = 16  # idle requests that are kept; the oldest are forgotten
LOGITS_STEP_BYTES = 64 << 20  # logits of a whole prompt are handed out in pieces of at most this size


class Scheduled(NamedTuple):
    """num_tokens tokens of a request, from request.num_computed on, run in this step, and after them a draft."""

    request: Request
    num_tokens: int
    draft_ids: tuple[int, ...] = ()


class Pages(Protocol):
    """The content of the pages, as bytes."""

    kind: str  # of what is in them: other bytes mean the same in another kind
    num_pages: int
    page_bytes: int

    def read(self, page: int) -> np.ndarray:
        """One page's content u8[page_bytes], good until the page is written."""

    def write(self, page: int, data: np.ndarray) -> None:
        """Sets one page's content to data u8[page_bytes]."""

    def copy(self, source: int, target: int) -> None:
        """Copies one page's content to another."""


class Scheduler:
    """First come, first served, with preemption of the youngest when pages run out.

    max_tokens bounds a step, max_running the requests that hold pages. A request must fit into the pool when it is
    alone there; the caller sees to that. store: where full pages are looked for that the pool has lost.
    """

    def __init__(
        self,
        pool: BlockPool,
        max_tokens: int,
        max_running: int,
        vocab_size: int,
        pages: Pages,
        store: DiskStore | None = None,
    ):
        self.pool, self.pages, self.store = pool, pages, store
        self.max_tokens, self.max_running = max_tokens, max_running
        self.max_logits_rows = max(1, LOGITS_STEP_BYTES // (4 * vocab_size))
        self.waiting: deque[Request] = deque()
        self.idle: deque[Request] = deque(maxlen=MAX_IDLE)  # run one at a time, when nothing else is there
        self.running: list[Request] = []  # oldest first

    def add(self, request: Request) -> None:
        """Queues a request; an idle one that runs gives way to any other."""
        if request.idle:
            self.idle.append(request)
            return
        for other in [*self.running, *self.waiting]:
            if other.idle:
                self.remove(other)
                other.restart()
                self.idle.append(other)
        self.waiting.append(request)

    def remove(self, request: Request) -> None:
        """Forgets a request, finished or aborted. Its pages are free, and stay findable until they are reused."""
        if request in self.running:
            self.running.remove(request)
            self._release(request)
        elif request in self.waiting:
            self.waiting.remove(request)
        elif request in self.idle:
            self.idle.remove(request)

    def disown(self, request: Request) -> None:
        """What a request's pages hold is found no more, by no other request and in no later run."""
        self.pool.forget(request.block_table, request.page_keys)
        if self.store is not None:
            self.store.discard(request.page_keys)

    def schedule(self, prompts: bool = True) -> list[Scheduled]:
        """The next step; empty when nothing is left to do. Every token in it has its place in a page.

        prompts: whether prompts are computed, too, beside requests that decode.
        """
        if self.idle and not self.running and not self.waiting:
            self.waiting.append(self.idle.popleft())
        self._admit()
        wanted = self._share_budget(prompts)
        step = []
        for request in list(self.running):  # oldest first: it always finds its pages
            count = wanted[request]
            while count and request in self.running and not self._grow(request, request.num_computed + count):
                self._preempt(self.running[-1])
            if count and request in self.running:
                step.append(Scheduled(request, count))
        return step

    def room_for_draft(self, request: Request, count: int) -> int:
        """How many of `count` drafted tokens after a request's last one have a place in a page; takes free pages."""
        while count and not self._grow(request, request.num_tokens + count):
            count -= 1
        return count

    def computed(self, request: Request, count: int) -> None:
        """The request's next `count` tokens are in the cache: counts them and makes full pages findable."""
        request.num_computed += count
        while (len(request.page_keys) + 1) * PAGE_TOKENS <= request.num_computed:
            page = len(request.page_keys)
            tokens = request.tokens(page * PAGE_TOKENS, (page + 1) * PAGE_TOKENS)
            request.page_keys.append(self.pool.register(request.block_table[page], request.parent_key, tokens))
            if self.store is not None:
                self.store.offer(request.parent_key)

    def write_page(self) -> None:
        """Writes one page that waits for it to disk, if the pool still has it."""
        found = None
        while found is None and self.store.has_pending:
            key = self.store.next_pending()
            found = self.pool.find(key)
        if found is not None:
            self.store.write(key, found.parent, found.tokens, self.pages.read(found.block_id))

    def _share_budget(self, prompts: bool) -> dict[Request, int]:
        """Tokens of each running request: one for those that decode, equal shares of the rest for the others."""
        wanted = {r: 1 for r in self.running[: self.max_tokens] if r.num_missing == 1}
        budget = self.max_tokens - len(wanted) if prompts or not wanted else 0
        filling = sorted((r for r in self.running if r.num_missing > 1), key=lambda r: r.num_missing)
        for place, request in enumerate(filling):  # short ones first: what they leave goes to the longer
            share = -(-budget // (len(filling) - place))
            limit = self.max_logits_rows if request.logits else request.num_missing
            wanted[request] = min(share, limit, request.num_missing)
            budget -= wanted[request]
        return {r: wanted.get(r, 0) for r in self.running}

    def _admit(self) -> None:
        for request in list(self.waiting):
            if len(self.running) >= self.max_running:
                return
            parent = request.parent
            if parent is not None and parent in self.running and parent.num_computed < parent.num_prompt_tokens:
                continue  # its prompt is being computed; this one takes the pages
            if not self._begin(request):
                return
            self.waiting.remove(request)
            self.running.append(request)

    def _begin(self, request: Request) -> bool:
        """Gives a request the pages that the pool holds of it. False, and nothing changes, when it has to wait.

        The last token is always computed, even if its page is there: its logits are needed.
        """
        if request.parent in self.running:
            self._register_tail(request.parent)
        tokens = request.tokens(0, 0 if request.logits else request.num_tokens - 1)
        match = self.pool.match(tokens)
        self.pool.hold(match.block_ids)
        missing = request.num_pages(request.num_tokens) - len(match.block_ids)
        spare = len(self.running)  # each of these may need a page in the next steps
        if self.running and missing + spare > self.pool.num_free:
            self.pool.release(match.block_ids)
            return False
        if self.store is not None:
            match = self._with_stored(match, tokens)
        request.block_table, request.page_keys = list(match.block_ids), list(match.keys)
        request.num_computed = len(match.block_ids) * PAGE_TOKENS
        if match.copy_from is not None:
            self.pool.hold([match.copy_from])  # or it might be the very page that is handed out
            target = self.pool.allocate(1)
            if target is not None:
                self.pages.copy(match.copy_from, target[0])
                request.block_table += target
                request.num_computed += match.num_copied
            self.pool.release([match.copy_from])
        if not request.output_ids:
            request.num_cached = request.num_computed
        return True

    def _with_stored(self, match: Match, tokens: Tokens) -> Match:
        """A match and the full pages that the disk has after it, all of them held."""
        parent, stored = match.keys[-1] if match.keys else ROOT, []
        for start in range(len(match.block_ids) * PAGE_TOKENS, len(tokens.ids) - PAGE_TOKENS + 1, PAGE_TOKENS):
            page = tokens.part(start, start + PAGE_TOKENS)
            key = chain_key(parent, page)
            target = self.pool.allocate(1) if key in self.store else None
            if target is None:
                break
            stored += target
            data = self.store.read(key, page, self.pages.page_bytes)
            if data is None:
                break
            self.pages.write(target[0], data)
            parent = self.pool.register(target[0], parent, page)
        again = self.pool.match(tokens)
        self.pool.hold(again.block_ids)
        self.pool.release([*match.block_ids, *stored])
        self.store.touch(again.keys)
        return again

    def _grow(self, request: Request, num_tokens: int) -> bool:
        """Appends pages to a block table for num_tokens tokens. False when there are none."""
        missing = request.num_pages(num_tokens) - len(request.block_table)
        pages = self.pool.allocate(max(missing, 0))
        if pages is None:
            return False
        request.block_table += pages
        return True

    def _preempt(self, request: Request) -> None:
        """Takes a request's pages away; it goes to the head of the queue and recomputes what is not found again."""
        assert request is not self.running[0], "the oldest request fits into the pool"
        self.running.remove(request)
        self._release(request)
        request.restart()
        self.waiting.appendleft(request)

    def _register_tail(self, request: Request) -> None:
        """Makes what was begun on a request's last page findable: others go on from a copy."""
        start = len(request.page_keys) * PAGE_TOKENS
        if start < request.num_computed:
            block_id = request.block_table[len(request.page_keys)]
            self.pool.register(block_id, request.parent_key, request.tokens(start, request.num_computed))

    def _release(self, request: Request) -> None:
        self._register_tail(request)
        self.pool.release(request.block_table)
        request.block_table = []
