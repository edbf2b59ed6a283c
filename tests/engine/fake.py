"""A model and pages that make any mix-up of pages visible."""

from concurrent.futures import Future
from functools import partial

import numpy as np

from kimi_cpu.engine import Request, Sampling
from kimi_cpu.model import PAGE_TOKENS

VOCAB = 97


class FakePages:
    """Ids instead of latents, -1 where nothing was written."""

    def __init__(self, num_pages):
        self.num_pages = num_pages
        self.tokens = np.full(num_pages * PAGE_TOKENS, -1, np.int64)
        self.page_bytes = 8 * PAGE_TOKENS
        self.kind = "fake"

    def read(self, page):
        return self.tokens[page * PAGE_TOKENS : (page + 1) * PAGE_TOKENS].view(np.uint8)

    def write(self, page, data):
        self.read(page)[:] = data

    def copy(self, source, target):
        pages = self.tokens.reshape(self.num_pages, PAGE_TOKENS)
        pages[target] = pages[source]


class FakeModel:
    """Writes (id, form) into the cache's slots; the next id hashes every (token, position) that a row reaches."""

    vocab_size = VOCAB

    def __init__(self, max_tokens, num_pages, depth=1):
        self.max_tokens, self.pages, self.depth = max_tokens, FakePages(num_pages), depth
        self.num_tokens = 0

    def submit(self, batch, watch):
        future = Future()
        try:
            future.set_result(self.forward(batch, watch))
        except BaseException as e:
            future.set_exception(e)
        return future

    def forward(self, batch, watch):
        self.num_tokens += len(batch.token_ids)
        forms = np.arange(len(batch.token_ids)) < batch.num_decode_seqs
        self.pages.tokens[batch.slot_mapping] = 2 * batch.token_ids.astype(np.int64) + forms
        row_of = np.searchsorted(batch.query_start_loc, batch.logits_indices, side="right") - 1
        logits = np.zeros((len(batch.logits_indices), VOCAB), np.float32)
        for out, (row, seq) in enumerate(zip(batch.logits_indices, row_of, strict=True)):
            where = np.arange(batch.positions[row] + 1)
            table = batch.block_tables[seq].astype(np.int64)
            read = self.pages.tokens[table[where // PAGE_TOKENS] * PAGE_TOKENS + where % PAGE_TOKENS]
            logits[out, next_id(read)] = 1
        return logits


class Later(Future):
    """Computed when its result is asked for."""

    def __init__(self, compute):
        super().__init__()
        self._compute = compute

    def result(self, timeout=None):
        if not self.done():
            try:
                self.set_result(self._compute())
            except BaseException as e:
                self.set_exception(e)
        return super().result(timeout)


class LateModel(FakeModel):
    """Computes a batch when its result is asked for, and no sooner: the last moment at which a page may be written."""

    def __init__(self, max_tokens, num_pages, depth=2):
        super().__init__(max_tokens, num_pages, depth)
        self.submitted = []  # batches

    def submit(self, batch, watch):
        self.submitted.append(batch)
        return Later(partial(self.forward, batch, watch))


def next_id(cached):
    """The id that follows the cached values 2 * id + form."""
    return int((np.asarray(cached, np.int64) * (np.arange(len(cached)) + 7)).sum() % (VOCAB - 2)) + 2


def expected(prompt, count, tail=1):
    """What a request answers when it runs alone: the prompt is in form 0, its last tokens and the answer in form 1."""
    cached = [2 * i for i in prompt[:-tail]] + [2 * i + 1 for i in prompt[-tail:]]
    ids = []
    for _ in range(count):
        ids.append(next_id(cached))
        cached.append(2 * ids[-1] + 1)
    return ids


class Guesses:
    """Drafts of which a random part is right: any number of true tokens, then any number of others."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.num_drafted = 0

    def propose(self, request, num_rows, limit):
        tokens = request.tokens(0, request.num_tokens)
        cached = 2 * tokens.ids + tokens.forms
        right, ids = int(self.rng.integers(0, 9)), []
        for _ in range(right):
            ids.append(next_id(cached))
            cached = np.append(cached, 2 * ids[-1] + 1)
        ids = (ids + self.rng.integers(0, VOCAB, 8).tolist())[: min(int(self.rng.integers(0, 9)), max(limit, 0))]
        self.num_drafted += len(ids)
        return ids

    def observe(self, num_rows, seconds):
        pass


def greedy(prompt, max_tokens, **options):
    """A request for max_tokens greedy tokens."""
    return Request(list(prompt), Sampling(temperature=0, max_tokens=max_tokens), max_tokens, **options)


def finish(engine, requests):
    """Runs requests to their end and returns their answers."""
    for request in requests:
        engine.add(request)
    while engine.has_work:
        engine.step()
    return [r.output_ids for r in requests]
