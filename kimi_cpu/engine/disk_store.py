"""Full pages of the cache on disk, so that a restart finds what was computed before it.

One file a page, DIRECTORY/NAMESPACE/KEY-PARENT.page, the keys being those of the pool's chain: magic, CRC-32 of the
rest, ids i32[64], forms u8[64], the latents. A file appears whole or not at all; a damaged one is removed unused. At
the limit the pages unused for longest go first, tails before heads. Other files in the directory are left alone. A file
system that refuses costs the store, never an answer.
"""

import logging
import os
import re
import secrets
import stat
import time
from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..files import private_directory
from ..model import PAGE_TOKENS
from .block_pool import Tokens

MAGIC = b"kimipag1"
HEAD_BYTES = len(MAGIC) + 4
TOKEN_BYTES = 5 * PAGE_TOKENS  # 4 bytes an id, 1 a form
ABANDONED_S = 3600.0  # an unfinished file of this age belongs to no process that still writes it
PARTIAL = ".partial"
NAMESPACE = re.compile(r"[0-9a-f]{32}")
PAGE = re.compile(r"(?P<key>[0-9a-f]{32})-(?P<parent>[0-9a-f]{32}|)\.page")
UNFINISHED = re.compile(PAGE.pattern + r"\..+\.partial")

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not waiting: it may have become a FIFO
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

log = logging.getLogger(__name__)


class _File(NamedTuple):
    folder: Path
    name: str
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
        private_directory(self._folder)  # as prompts are
        self._files: OrderedDict[tuple[str, str], _File] = OrderedDict()  # (namespace, key), longest unused first
        self._num_children: Counter[tuple[str, str]] = Counter()
        self._pending: dict[bytes, None] = {}
        self._is_closed = False  # to new pages: the disk is full, as opposed to the limit, or refuses
        for folder, name, num_bytes in _by_age(directory):
            self._add(folder, name, num_bytes)
        self._evict(0)

    def __contains__(self, key: bytes) -> bool:
        return (self._namespace, key.hex()) in self._files

    @property
    def has_pending(self) -> bool:
        """Whether pages wait to be written."""
        return bool(self._pending)

    def offer(self, key: bytes) -> None:
        """Queues a page to be written."""
        if key not in self and not self._is_closed:
            self._pending[key] = None

    def next_pending(self) -> bytes | None:
        """Takes the key of a page that waits to be written."""
        key = next(iter(self._pending), None)
        if key is not None:
            del self._pending[key]
        return key

    def discard(self, keys: Iterable[bytes]) -> None:
        """Removes pages that must not be used again."""
        for key in keys:
            self._pending.pop(key, None)
            if key in self:
                self._remove((self._namespace, key.hex()))

    def touch(self, keys: Iterable[bytes]) -> None:
        """Notes that pages were used."""
        names = [name for key in keys if (name := (self._namespace, key.hex())) in self._files]
        for name in names:
            self._files.move_to_end(name)
        if names:
            _touch(self._folder, [self._files[name].name for name in names])

    def read(self, key: bytes, tokens: Tokens, page_bytes: int) -> np.ndarray | None:
        """The latents u8[page_bytes] of a page's tokens. None: they cannot be had, and the page is forgotten."""
        name = (self._namespace, key.hex())
        try:
            data = _read(self._folder, self._files[name].name, HEAD_BYTES + TOKEN_BYTES + page_bytes)
        except OSError:
            self._forget(name)
            return None
        if data is None or not _is_whole(data, tokens):
            path = self._folder / self._files[name].name
            log.warning("%s is damaged; it is removed and its tokens are computed again.", path)
            self._remove(name)
            return None
        self.touch([key])
        return np.frombuffer(data, np.uint8, offset=HEAD_BYTES + TOKEN_BYTES)

    def write(self, key: bytes, parent: bytes, tokens: Tokens, page: np.ndarray) -> None:
        """Writes a page u8[page_bytes]. When the disk refuses it, one warning says so and nothing more is written."""
        name, texts = f"{key.hex()}-{parent.hex()}.page", _bytes(tokens)
        num_bytes = HEAD_BYTES + len(texts) + len(page)
        self._evict(num_bytes)
        if self._is_closed:
            return
        try:
            head = MAGIC + crc32(page, crc32(texts)).to_bytes(4, "little")
            _write(self._folder, name, (head, texts, page), PARTIAL)
        except OSError as e:
            self._close(f"{self._folder} cannot be written", e)
            return
        self._add(self._folder, name, num_bytes)

    def _close(self, what: str, error: OSError) -> None:
        """Takes no more pages; those that are there are still read."""
        if not self._is_closed:
            log.warning("%s (%s); prefixes are no longer kept on disk.", what, error.strerror or error)
        self._is_closed = True
        self._pending.clear()

    def _evict(self, needed: int) -> None:
        """Removes files until `needed` more bytes are within the limit."""
        while self._files and self.num_bytes + needed > self._limit_bytes and not self._is_closed:
            leaves = (name for name in self._files if not self._num_children[name])
            self._remove(next(leaves, next(iter(self._files))))  # names that go in a circle have no leaf

    def _add(self, folder: Path, name: str, num_bytes: int) -> None:
        match = PAGE.fullmatch(name)
        assert match is not None, f"{name} is no page"
        key, parent = match.groups()
        self._forget((folder.name, key))
        file = self._files[folder.name, key] = _File(folder, name, (folder.name, parent), num_bytes)
        self._num_children[file.parent] += 1
        self.num_bytes += num_bytes

    def _remove(self, name: tuple[str, str]) -> None:
        file = self._files[name]
        self._forget(name)
        try:
            _remove(file.folder, file.name)
        except OSError as e:
            self._close(f"{file.folder / file.name} cannot be removed", e)

    def _forget(self, name: tuple[str, str]) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            self._num_children[file.parent] -= 1
            self.num_bytes -= file.num_bytes


def _bytes(tokens: Tokens) -> bytes:
    return tokens.ids.astype("<i4").tobytes() + tokens.forms.tobytes()


def _is_whole(data: bytes, tokens: Tokens) -> bool:
    """Whether a file holds what it should."""
    if data[:HEAD_BYTES] != MAGIC + crc32(memoryview(data)[HEAD_BYTES:]).to_bytes(4, "little"):
        return False
    return data[HEAD_BYTES : HEAD_BYTES + TOKEN_BYTES] == _bytes(tokens)


def _by_age(directory: Path) -> list[tuple[Path, str, int]]:
    """(folder, name, bytes) of the pages in all namespaces, longest unused first; removes what was left unfinished."""
    found: list[tuple[int, Path, str, int]] = []
    for folder in directory.iterdir():
        if not NAMESPACE.fullmatch(folder.name):
            continue
        try:
            for name, status in _listed(folder):
                if PAGE.fullmatch(name):
                    found.append((status.st_mtime_ns, folder, name, status.st_size))
                elif UNFINISHED.fullmatch(name) and time.time() - status.st_mtime > ABANDONED_S:
                    _remove(folder, name)
        except OSError:
            continue  # no folder, or one that is not ours
    return [(folder, name, num_bytes) for _, folder, name, num_bytes in sorted(found)]


# The regular files of one folder, by name: anything else is neither opened nor followed nor removed.


def _listed(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(name, status) of the regular files. OSError: there is no such folder, or it is a link to one."""
    with _opened(folder) as at:
        for name in os.listdir(at):
            try:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
            except OSError:
                continue  # another process was faster
            if stat.S_ISREG(status.st_mode):
                yield name, status


def _read(folder: Path, name: str, num_bytes: int) -> bytes | None:
    """A file's content, or None when it is not of this size. OSError: it cannot be read, or is no regular file."""
    with _opened(folder) as at:
        _require_regular(os.stat(name, dir_fd=at, follow_symlinks=False), name)
        with open(os.open(name, READ, dir_fd=at), "rb") as file:
            status = os.fstat(file.fileno())
            _require_regular(status, name)
            return file.read(num_bytes) if status.st_size == num_bytes else None


def _write(folder: Path, name: str, parts: Iterable[bytes | np.ndarray], partial: str) -> None:
    """Writes a file, which appears whole or not at all. partial: the ending of its name until then. OSError."""
    unfinished = f"{name}.{secrets.token_hex(8)}{partial}"
    with _opened(folder) as at:
        try:
            with open(os.open(unfinished, WRITE, 0o600, dir_fd=at), "wb") as file:
                for part in parts:
                    file.write(part)
            os.replace(unfinished, name, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=at)
            raise


def _remove(folder: Path, name: str) -> None:
    """Removes a file; one that is gone is no error. OSError: it cannot be removed, or is no regular file."""
    try:
        with _opened(folder) as at:
            _require_regular(os.stat(name, dir_fd=at, follow_symlinks=False), name)
            os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        pass


def _touch(folder: Path, names: Iterable[str]) -> None:
    """The files were used now, as far as that can be noted."""
    try:
        with _opened(folder) as at:
            for name in names:
                os.utime(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        pass  # it only decides what is removed first


@contextmanager
def _opened(folder: Path) -> Generator[int]:
    at = os.open(folder, FOLDER)
    try:
        yield at
    finally:
        os.close(at)


def _require_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{name} is no regular file")
