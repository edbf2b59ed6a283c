"""The one owner of pages: which of them hold what was computed of a sequence, in memory and on disk.

A request's block table grows in `acquire` and `grow`. Others find what was computed of it after `commit`. `release`
gives its pages back, which stay findable until they are reused.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from ..model import PAGE_TOKENS
from .block_pool import ROOT, BlockPool, Match, Tokens, chain_key, full_pages, num_pages
from .disk_store import DiskStore
from .request import Kind, Request


class Pages(Protocol):
    """The content of the pages, as bytes. The model owns it."""

    @property
    def kind(self) -> str:
        """Of the content: pages of another kind mean other bytes."""
        ...

    @property
    def num_pages(self) -> int: ...

    @property
    def page_bytes(self) -> int: ...

    def read(self, page: int) -> np.ndarray:
        """One page's content u8[page_bytes], good until the page is written."""
        ...

    def write(self, page: int, data: np.ndarray) -> None:
        """Sets one page's content to data u8[page_bytes]."""

    def copy(self, source: int, target: int) -> None:
        """Copies one page's content to another."""


class PrefixCache:
    """The pages of all requests, shared where their beginnings are the same.

    store: where full pages are kept, and looked for when memory has lost them.
    """

    def __init__(self, pages: Pages, store: DiskStore | None = None):
        self.pages, self.store = pages, store
        self.pool = BlockPool(pages.num_pages)

    def acquire(self, request: Request, spare: int) -> bool:
        """Gives a request the pages that hold its beginning. False, and nothing changes, when the pages that it needs
        besides would leave fewer than `spare` free.

        The last token is always computed, even if its page is there: its logits are needed.
        """
        tokens = request.tokens(0, 0 if request.kind is Kind.LOGITS else request.num_tokens - 1)
        match = self.pool.match(tokens)
        self.pool.hold(match.block_ids)
        if num_pages(request.num_tokens) - len(match.block_ids) + spare > self.pool.num_free:
            self.pool.release(match.block_ids)
            return False
        if self.store is not None:
            match = self._with_stored(self.store, match, tokens)
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

    def grow(self, request: Request, num_tokens: int) -> bool:
        """Appends pages to a block table for num_tokens tokens in all. False, and nothing changes: there are none."""
        missing = num_pages(num_tokens) - len(request.block_table)
        pages = self.pool.allocate(max(missing, 0))
        if pages is None:
            return False
        request.block_table += pages
        return True

    def commit(self, request: Request, count: int) -> None:
        """The request's next `count` tokens were computed: counts them and makes full pages findable."""
        request.num_computed += count
        while (len(request.page_keys) + 1) * PAGE_TOKENS <= request.num_computed:
            page = len(request.page_keys)
            tokens = request.tokens(page * PAGE_TOKENS, (page + 1) * PAGE_TOKENS)
            request.page_keys.append(self.pool.register(request.block_table[page], request.parent_key, tokens))
            if self.store is not None:
                self.store.offer(request.parent_key)

    def share(self, request: Request) -> None:
        """Makes what was computed on a request's last page findable: others go on from a copy."""
        start = len(request.page_keys) * PAGE_TOKENS
        if start < request.num_computed:
            block_id = request.block_table[len(request.page_keys)]
            self.pool.register(block_id, request.parent_key, request.tokens(start, request.num_computed))

    def release(self, request: Request) -> None:
        """Takes a request's pages from it; what was computed stays findable until they are reused."""
        self.share(request)
        self.pool.release(request.block_table)
        request.block_table = []

    def disown(self, request: Request) -> None:
        """Makes a request's pages unfindable, for other requests and for later runs."""
        self.pool.forget(request.block_table, request.page_keys)
        if self.store is not None:
            self.store.discard(request.page_keys)

    def export(self, tokens: Tokens, first: int = 0) -> tuple[int, Iterator[np.ndarray]]:
        """The number of tokens of a sequence's beginning that are there, and the content of their pages, from the one
        of number `first` on. Those before it are taken to be there, and full."""
        start = first * PAGE_TOKENS
        keys = [key for key, _ in full_pages(tokens.part(0, start))]
        match = self.pool.match(tokens.part(start, len(tokens.ids)), keys[-1] if keys else ROOT)
        block_ids = match.block_ids if match.copy_from is None else [*match.block_ids, match.copy_from]
        num_tokens = start + len(match.block_ids) * PAGE_TOKENS + match.num_copied
        return num_tokens, map(self.pages.read, block_ids)

    def restore(self, tokens: Tokens, contents: Iterable[np.ndarray]) -> None:
        """Takes in the pages of a sequence, as `export` gave them; those that there is no room for are left out.

        What `contents` raises ends it; then nothing can be found that was not there before.
        """
        count = min(num_pages(len(tokens.ids)), self.pool.num_free)
        block_ids, parent = self.pool.allocate(count) or [], ROOT
        try:
            for block_id, data in zip(block_ids, contents, strict=False):
                self.pages.write(block_id, data)
            for number, block_id in enumerate(block_ids):
                part = tokens.part(number * PAGE_TOKENS, (number + 1) * PAGE_TOKENS)
                parent = self.pool.register(block_id, parent, part)
        finally:
            self.pool.release(block_ids)

    @property
    def has_pending(self) -> bool:
        """Whether pages wait to be written to disk."""
        return self.store is not None and self.store.has_pending

    def write_pending(self) -> None:
        """Writes one page that waits for it to disk, if the pool still has it."""
        while self.store is not None and (key := self.store.next_pending()) is not None:
            found = self.pool.find(key)
            if found is not None:
                self.store.write(key, found.parent, found.tokens, self.pages.read(found.block_id))
                return

    def _with_stored(self, store: DiskStore, match: Match, tokens: Tokens) -> Match:
        """A match and the full pages that the disk has after it, all of them held."""
        parent, stored = match.keys[-1] if match.keys else ROOT, list[int]()
        for start in range(len(match.block_ids) * PAGE_TOKENS, len(tokens.ids) - PAGE_TOKENS + 1, PAGE_TOKENS):
            page = tokens.part(start, start + PAGE_TOKENS)
            key = chain_key(parent, page)
            target = self.pool.allocate(1) if key in store else None
            if target is None:
                break
            stored += target
            data = store.read(key, page, self.pages.page_bytes)
            if data is None:
                break
            self.pages.write(target[0], data)
            parent = self.pool.register(target[0], parent, page)
        again = self.pool.match(tokens)
        self.pool.hold(again.block_ids)
        self.pool.release([*match.block_ids, *stored])
        store.touch(again.keys)
        return again
