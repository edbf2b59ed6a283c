"""Full pages of the cache on disk, so that a restart finds what was computed before it.

One file a page, DIRECTORY/NAMESPACE/KEY-PARENT.page, the keys being those of the pool's chain: magic, CRC-32 of the
rest, ids i32[64], forms u8[64], the latents. A file appears whole or not at all; one that is damaged is not used and is
removed. What was used longest ago goes first when the limit is reached, and a page before those that it follows.
"""

import logging
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..model import PAGE_TOKENS
from .block_pool import Tokens

MAGIC = b"kimipag1"
HEAD_BYTES = len(MAGIC) + 4
TOKEN_BYTES = 5 * PAGE_TOKENS  # 4 bytes an id, 1 a form
ABANDONED_S = 3600.0  # an unfinished file of this age belongs to no process that still writes it

log = logging.getLogger(__name__)


class _File(NamedTuple):
    path: Path
    parent: tuple[str, str]
    num_bytes: int


class DiskStore:
    """The files of one directory, of all namespaces together at most limit_bytes; reads and writes one namespace.

    namespace: whatever a page's latents depend on besides its tokens. OSError: the directory cannot be made.
    """

    def __init__(self, directory: Path, limit_bytes: int, namespace: str):
        self._limit_bytes, self.num_bytes = limit_bytes, 0
        self._namespace = blake2b(namespace.encode(), digest_size=16).hexdigest()
        self._folder = directory / self._namespace
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # prompts are private
        self._files: OrderedDict[tuple[str, str], _File] = OrderedDict()  # (namespace, key), longest unused first
        self._num_children: Counter[tuple[str, str]] = Counter()
        self._pending: dict[bytes, None] = {}
        self._full = False  # the disk, as opposed to the limit
        for path, num_bytes in _by_age(directory):
            self._add(path, num_bytes)
        self._evict(0)

    def __contains__(self, key: bytes) -> bool:
        return (self._namespace, key.hex()) in self._files

    @property
    def has_pending(self) -> bool:
        """Whether pages wait to be written."""
        return bool(self._pending)

    def offer(self, key: bytes) -> None:
        """A page is worth writing, some time."""
        if key not in self and not self._full:
            self._pending[key] = None

    def next_pending(self) -> bytes | None:
        """Takes the key of a page that waits to be written."""
        key = next(iter(self._pending), None)
        self._pending.pop(key, None)
        return key

    def discard(self, keys: Iterable[bytes]) -> None:
        """Pages that must not be used again."""
        for key in keys:
            self._pending.pop(key, None)
            if key in self:
                self._remove((self._namespace, key.hex()))

    def touch(self, keys: Iterable[bytes]) -> None:
        """Pages were used."""
        for key in keys:
            name = (self._namespace, key.hex())
            if name in self._files:
                self._files.move_to_end(name)
                try:
                    os.utime(self._files[name].path)
                except OSError:
                    self._forget(name)

    def read(self, key: bytes, tokens: Tokens, page: np.ndarray) -> bool:
        """Fills page u8[page_bytes] with the latents of a page's tokens; False, and the file is gone, if it cannot."""
        name = (self._namespace, key.hex())
        try:
            data = self._files[name].path.read_bytes()
        except OSError:
            self._forget(name)
            return False
        texts = _bytes(tokens)
        body = memoryview(data)[HEAD_BYTES:]
        good = (
            len(body) == TOKEN_BYTES + len(page)
            and data[:HEAD_BYTES] == MAGIC + crc32(body).to_bytes(4, "little")
            and body[:TOKEN_BYTES] == texts
        )
        if good:
            page[:] = np.frombuffer(body[TOKEN_BYTES:], np.uint8)
            self.touch([key])
        else:
            log.warning("%s is damaged; it is removed and its tokens are computed again.", self._files[name].path)
            self._remove(name)
        return good

    def write(self, key: bytes, parent: bytes, tokens: Tokens, page: np.ndarray) -> None:
        """Writes a page u8[page_bytes]. A disk that is full is told of once, and nothing more is written."""
        path = self._folder / f"{key.hex()}-{parent.hex()}.page"
        partial = path.with_name(f"{path.name}.{os.getpid()}-{id(self)}.partial")
        texts = _bytes(tokens)
        self._evict(HEAD_BYTES + len(texts) + len(page))
        try:
            with partial.open("wb") as file:
                file.write(MAGIC + crc32(page, crc32(texts)).to_bytes(4, "little") + texts)
                file.write(page)
            partial.replace(path)
        except OSError as e:
            partial.unlink(missing_ok=True)
            self._full = True
            self._pending.clear()
            log.warning("%s cannot be written (%s); prefixes are no longer kept on disk.", self._folder, e.strerror)
            return
        self._add(path, HEAD_BYTES + len(texts) + len(page))

    def _evict(self, needed: int) -> None:
        """Removes files until `needed` more bytes are within the limit."""
        while self._files and self.num_bytes + needed > self._limit_bytes:
            self._remove(next(name for name in self._files if not self._num_children[name]))

    def _add(self, path: Path, num_bytes: int) -> None:
        key, _, parent = path.stem.partition("-")
        name = (path.parent.name, key)
        self._forget(name)
        self._files[name] = _File(path, (path.parent.name, parent), num_bytes)
        self._num_children[self._files[name].parent] += 1
        self.num_bytes += num_bytes

    def _remove(self, name: tuple[str, str]) -> None:
        self._files[name].path.unlink(missing_ok=True)
        self._forget(name)

    def _forget(self, name: tuple[str, str]) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            self._num_children[file.parent] -= 1
            self.num_bytes -= file.num_bytes


def _bytes(tokens: Tokens) -> bytes:
    return tokens.ids.astype("<i4").tobytes() + tokens.forms.tobytes()


def _by_age(directory: Path) -> list[tuple[Path, int]]:
    """(path, bytes) of the pages in all namespaces, longest unused first; removes what was left unfinished."""
    found = []
    for path in directory.glob("*/*"):
        try:
            stat = path.stat()
            if path.suffix == ".page":
                found.append((stat.st_mtime_ns, path, stat.st_size))
            elif path.suffix == ".partial" and time.time() - stat.st_mtime > ABANDONED_S:
                path.unlink()
        except OSError:
            continue  # another process was faster
    return [(path, num_bytes) for _, path, num_bytes in sorted(found)]
