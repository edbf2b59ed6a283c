"""Which tokens run in the next step: one of every decoding request, and prompts in chunks beside them."""

from collections import deque
from typing import NamedTuple

from .prefix_cache import PrefixCache
from .request import Request

MAX_IDLE = 16  # idle requests that are kept; the oldest are forgotten
LOGITS_STEP_BYTES = 64 << 20  # logits of a whole prompt are handed out in pieces of at most this size


class Scheduled(NamedTuple):
    """num_tokens tokens of a request, from request.num_computed on, run in this step, and after them a draft."""

    request: Request
    num_tokens: int
    draft_ids: tuple[int, ...] = ()


class Scheduler:
    """First come, first served, with preemption of the youngest when pages run out.

    max_tokens bounds a step, max_running the requests that hold pages. A request must fit into the cache when it is
    alone there; the caller sees to that.
    """

    def __init__(self, cache: PrefixCache, max_tokens: int, max_running: int, vocab_size: int):
        self.cache, self.max_tokens, self.max_running = cache, max_tokens, max_running
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
            self.cache.release(request)
        elif request in self.waiting:
            self.waiting.remove(request)
        elif request in self.idle:
            self.idle.remove(request)

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
            while count and request in self.running and not self.cache.grow(request, request.num_computed + count):
                self._preempt(self.running[-1])
            if count and request in self.running:
                step.append(Scheduled(request, count))
        return step

    def room_for_draft(self, request: Request, count: int) -> int:
        """How many of `count` drafted tokens after a request's last one have a place in a page; takes free pages."""
        while count and not self.cache.grow(request, request.num_tokens + count):
            count -= 1
        return count

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
            if parent is not None and parent in self.running:
                self.cache.share(parent)
            if not self.cache.acquire(request, spare=len(self.running)):  # each may need a page in the next steps
                return
            self.waiting.remove(request)
            self.running.append(request)

    def _preempt(self, request: Request) -> None:
        """Takes a request's pages away; it goes to the head of the queue and recomputes what is not found again."""
        assert request is not self.running[0], "the oldest request fits into the pool"
        self.running.remove(request)
        self.cache.release(request)
        request.restart()
        self.waiting.appendleft(request)
