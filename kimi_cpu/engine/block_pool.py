"""Pages by number: their holders, which may be reused, and which hold the beginning of some sequence.

Invariants: a page is held (ref count > 0) or free, never both; block tables are append-only; a free page keeps its
content, and can be found again by what it holds, until it is handed out for something else. No page can be found that
holds only the beginning of what another one holds after the same prefix.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from ..model import PAGE_TOKENS
from .free_pages import FreePages

ROOT = b""  # key of the empty prefix
ID_BYTES = 4
STRETCH = 64 * PAGE_TOKENS  # tokens whose bytes are taken at once


class Tokens(NamedTuple):
    """Ids of some tokens, and the form in which each was computed: 0 expanded, 1 absorbed.

    The two forms round differently, so a page is the same only if the forms are.
    """

    ids: np.ndarray  # i32[n]
    forms: np.ndarray  # u8[n]

    def part(self, start: int, stop: int) -> "Tokens":
        """Tokens [start, stop)."""
        return Tokens(self.ids[start:stop], self.forms[start:stop])

    def num_common(self, other: "Tokens") -> int:
        """Length of the common beginning."""
        n = min(len(self.ids), len(other.ids))
        differs = (self.ids[:n] != other.ids[:n]) | (self.forms[:n] != other.forms[:n])
        return int(differs.argmax()) if differs.any() else n

    def tobytes(self) -> bytes:
        """Ids, then forms; the quick way to see whether two pages are the same."""
        return self.ids.tobytes() + self.forms.tobytes()

    @classmethod
    def frombytes(cls, data: bytes) -> "Tokens":
        """The tokens of which `tobytes` gave data."""
        n = len(data) // (ID_BYTES + 1)
        return cls(np.frombuffer(data, np.int32, n), np.frombuffer(data, np.uint8, n, ID_BYTES * n))


class Match(NamedTuple):
    """The beginning of a sequence that the pool holds: full pages, and perhaps a page whose first tokens come next."""

    block_ids: list[int]
    keys: list[bytes]  # of the full pages
    copy_from: int | None
    num_copied: int  # tokens of copy_from that fit


class Found(NamedTuple):
    """A full page, the key of what stands before it, and its tokens."""

    block_id: int
    parent: bytes
    tokens: Tokens


class _Entry(NamedTuple):
    key: bytes | None  # None: the page is not full
    parent: bytes
    data: bytes  # of its tokens

    def agrees_with(self, other: "_Entry") -> bool:
        """Whether one of two pages holds the beginning of what the other one holds."""
        data, others = self.data, other.data
        forms_at, others_at = (len(each) // (ID_BYTES + 1) * ID_BYTES for each in (data, others))
        end = min(forms_at, others_at)
        n = end // ID_BYTES
        return data[:end] == others[:end] and data[forms_at : forms_at + n] == others[others_at : others_at + n]


def num_pages(num_tokens: int) -> int:
    """Pages that hold so many tokens."""
    return -(-num_tokens // PAGE_TOKENS)


def chain_key(parent: bytes, tokens: Tokens) -> bytes:
    """Key of a page after a prefix."""
    return _key(parent, tokens.tobytes())


def full_pages(tokens: Tokens, parent: bytes = ROOT) -> Iterator[tuple[bytes, bytes]]:
    """The full pages of a sequence after a prefix: of each its key, and its tokens as `tobytes` gives them."""
    for begin in range(0, len(tokens.forms), STRETCH):  # with all bytes at once a long chat takes its memory again
        ids, forms = (part.tobytes() for part in tokens.part(begin, begin + STRETCH))
        for start in range(0, len(forms) - PAGE_TOKENS + 1, PAGE_TOKENS):
            stop = start + PAGE_TOKENS
            data = ids[ID_BYTES * start : ID_BYTES * stop] + forms[start:stop]
            parent = _key(parent, data)
            yield parent, data


class BlockPool:
    """num_blocks pages, numbered from 0."""

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self._refs = [0] * num_blocks
        self._free = FreePages(num_blocks)
        self._entries: dict[int, _Entry] = {}
        self._by_key: dict[bytes, int] = {}
        self._by_parent: dict[bytes, list[int]] = {}

    @property
    def num_free(self) -> int:
        return len(self._free)

    @property
    def in_use(self) -> list[int]:
        """The pages that are held, or can be found again by what they hold."""
        return [block_id for block_id in range(self.num_blocks) if self._refs[block_id] or block_id in self._entries]

    def allocate(self, count: int) -> list[int] | None:
        """count pages with one holder each, least recently used first; None when fewer are free."""
        if count > len(self._free):
            return None
        block_ids = [self._free.take() for _ in range(count)]
        for block_id in block_ids:
            self._forget(block_id)
            self._refs[block_id] = 1
        return block_ids

    def hold(self, block_ids: list[int]) -> None:
        """One more holder for each page."""
        for block_id in block_ids:
            if not self._refs[block_id]:
                self._free.remove(block_id)
            self._refs[block_id] += 1

    def release(self, block_ids: list[int]) -> None:
        """One holder fewer for each page of a block table. The tail is reused first: shared heads live longest."""
        for block_id in reversed(block_ids):
            self._refs[block_id] -= 1
            assert self._refs[block_id] >= 0, f"page {block_id} was released twice"
            if self._refs[block_id] == 0:
                if block_id in self._entries:
                    self._free.append(block_id)
                else:
                    self._free.prepend(block_id)  # nothing in it can be found again

    def register(self, block_id: int, parent: bytes, tokens: Tokens) -> bytes:
        """Makes a page findable by what it holds after a prefix; returns the key of what comes after it.

        A page may be registered again when it holds more tokens than before. It takes the place of pages that hold its
        beginning, and stays unfindable where another one holds all of it.
        """
        assert len(tokens.ids) <= PAGE_TOKENS
        data = tokens.tobytes()
        key = _key(parent, data) if len(tokens.ids) == PAGE_TOKENS else None
        self._forget(block_id)
        entry = _Entry(key, parent, data)
        alike = [
            other
            for other in self._by_parent.get(parent, ())
            if (key is None or self._entries[other].key is None) and entry.agrees_with(self._entries[other])
        ]  # full pages that agree have the same key
        if key not in self._by_key and all(len(self._entries[other].data) < len(data) for other in alike):
            for other in alike:
                self._forget(other)
                if not self._refs[other]:
                    self._free.remove(other)
                    self._free.prepend(other)
            self._entries[block_id] = entry
            self._by_parent.setdefault(parent, []).append(block_id)
            if key is not None:
                self._by_key[key] = block_id
        return key or parent

    def forget(self, block_ids: list[int], keys: list[bytes]) -> None:
        """Makes these pages, and those of these keys, unfindable; their holders keep them."""
        for block_id in [*block_ids, *(self._by_key[key] for key in keys if key in self._by_key)]:
            self._forget(block_id)

    def find(self, key: bytes) -> Found | None:
        """The full page of a key, if it is still there."""
        block_id = self._by_key.get(key)
        if block_id is None:
            return None
        entry = self._entries[block_id]
        return Found(block_id, entry.parent, Tokens.frombytes(entry.data))

    def match(self, tokens: Tokens, parent: bytes = ROOT) -> Match:
        """The longest beginning of a sequence that the pool holds. Tokens are compared: a collision cannot leak.

        parent: the key of the full pages that stand before the sequence.
        """
        block_ids: list[int] = []
        keys: list[bytes] = []
        for key, data in full_pages(tokens, parent):
            block_id = self._by_key.get(key)
            if block_id is None or self._entries[block_id].data != data:
                break
            block_ids.append(block_id)
            keys.append(key)
            parent = key
        start = len(keys) * PAGE_TOKENS
        rest = tokens.part(start, start + PAGE_TOKENS)
        copy_from, num_copied, ids = None, 0, rest.ids.tobytes()
        for block_id in self._by_parent.get(parent, ()):
            data, end = self._entries[block_id].data, ID_BYTES * (num_copied + 1)
            if data[:end] != ids[:end]:  # as most of many: no more tokens than before
                continue
            common = Tokens.frombytes(data).num_common(rest)
            if common > num_copied:
                copy_from, num_copied = block_id, common
        return Match(block_ids, keys, copy_from, num_copied)

    def check(self, block_tables: Iterable[list[int]]) -> None:
        """Asserts the invariants: these block tables hold pages, all others are free, and what is found is there."""
        holders = Counter(block_id for table in block_tables for block_id in table)
        assert self._refs == [holders[block_id] for block_id in range(self.num_blocks)]
        free = list(self._free)
        assert sorted(free) == [block_id for block_id in range(self.num_blocks) if block_id not in holders]
        assert len(free) == self.num_free
        keys = {entry.key: block_id for block_id, entry in self._entries.items() if entry.key is not None}
        assert keys == self._by_key
        assert all(key == _key(*self._entries[block_id][1:]) for key, block_id in keys.items())
        found = [(block_id, parent) for parent, block_ids in self._by_parent.items() for block_id in block_ids]
        assert sorted(found) == sorted((block_id, entry.parent) for block_id, entry in self._entries.items())
        families = [[self._entries[block_id] for block_id in block_ids] for block_ids in self._by_parent.values()]
        assert not any(a is not b and a.agrees_with(b) for entries in families for a in entries for b in entries)

    def _forget(self, block_id: int) -> None:
        entry = self._entries.pop(block_id, None)
        if entry is None:
            return
        if entry.key is not None:
            del self._by_key[entry.key]
        siblings = self._by_parent[entry.parent]
        siblings.remove(block_id)
        if not siblings:
            del self._by_parent[entry.parent]


def _key(parent: bytes, data: bytes) -> bytes:
    return blake2b(parent + data, digest_size=16).digest()
