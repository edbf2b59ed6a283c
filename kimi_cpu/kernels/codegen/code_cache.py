"""Compiled code, kept between processes: found by content, wherever the package lies, and written together.

Each entry is one file that begins with its SHA-256. Of several processes that need it one compiles, and the others do
something else or wait. A folder that can only be read serves what it holds; where none can be used, code lives as long
as its process.
"""

import fcntl
import gc
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ...files import user_folder

PACKAGE = Path(__file__).parents[2]
PATIENCE_S = 120.0  # for another process: an entry takes 1 to 6 s, on a busy machine ten times as long
POLL_S = 0.02


class CodeCache:
    """The folder of the code that belongs to the present sources and to `facts`: names, sizes and versions as text.

    note: a sentence for a person, when it does not lie where it should.
    """

    def __init__(self, facts: str):
        key, place = _key(facts), user_folder("CACHE")
        self.note = None
        self.folder = place / key if place is not None and _usable(place / key) else None
        if self.folder is None:
            self.folder = _temporary(key)
            missing = "there is no home directory" if place is None else f"{place} cannot be written"
            if self.folder is None:
                self.note = f"{missing}: each process compiles the kernels again. $XDG_CACHE_HOME can name a folder."
            else:
                self.note = f"{missing}: compiled kernels are kept in {self.folder.parent}."

    def entry(self, name: str) -> "Entry":
        """The code of that name, whether there is any or not."""
        return Entry(None if self.folder is None else self.folder / name)

    @property
    def is_shared(self) -> bool:
        """Whether other processes will find what this one compiles."""
        return self.folder is not None and os.access(self.folder, os.W_OK)


class Entry:
    """One file of code. path: None keeps nothing."""

    def __init__(self, path: Path | None):
        self.path = path
        self._lock = None if path is None else path.with_name(path.name + ".lock")

    def exists(self) -> bool:
        """Whether somebody compiled it."""
        return self.path is not None and self.path.exists()

    def read(self) -> bytes | None:
        """The code; None when there is none, or it is damaged."""
        try:
            content = self.path.read_bytes() if self.path else b""
        except OSError:
            return None
        digest, code = content[:32], content[32:]
        return code if code and sha256(code).digest() == digest else None

    def write(self, code: bytes) -> None:
        """Keeps the code, whole or not at all: a full or read-only disk only costs the next start some seconds."""
        if self.path is None:
            return
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            partial.write_bytes(sha256(code).digest() + code)
            partial.replace(self.path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    @contextmanager
    def claim(self, wait: bool) -> Iterator[bool]:
        """True in the one process that may compile now, and in all when the code is there. While another one has it:
        False, or with `wait` a pause until it has done, died, or had PATIENCE_S."""
        if self.exists() or self._lock is None:
            yield True
            return
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # a folder to be read only
            yield True
            return
        ours = False
        try:
            end = time.monotonic() + (PATIENCE_S if wait else 0)
            while not (ours := _locked(descriptor)) and not self.exists() and time.monotonic() < end:
                time.sleep(POLL_S)
            yield ours or wait or self.exists()
        finally:
            if ours and self.exists():
                with suppress(OSError):
                    self._lock.unlink()  # whoever holds it open will find the code
            os.close(descriptor)

    def make(self, wait: bool, lock: AbstractContextManager, is_made: Callable[[], bool], work: Callable) -> bool:
        """Whether this process has it: work() makes it here, once for all threads, where `claim` says so."""
        if is_made():
            return True
        with self.claim(wait) as ours:
            if ours:
                with lock, _no_collection():  # two threads may come at once
                    if not is_made():
                        work()
            return ours

    def is_claimed(self) -> bool:
        """Whether another process compiles it."""
        if self._lock is None:
            return False
        try:
            descriptor = os.open(self._lock, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Inside, Python does not look for garbage, again and again among the millions of objects of a compiler."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now. File systems that have no locks give it to everybody."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _key(facts: str) -> str:
    """Hex name for all that compiled code depends on: source text, and what the caller names."""
    digest = sha256(facts.encode())
    sources = sorted([*PACKAGE.glob("kernels/**/*.py"), *PACKAGE.glob("quant/*.py")])
    for path in sources:
        digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    if not sources:  # frozen into a program, whose date and size stand for them
        program = os.stat(sys.executable)
        digest.update(f"{program.st_mtime_ns} {program.st_size}".encode())
    return digest.hexdigest()[:16]


def _usable(folder: Path) -> bool:
    """Whether code can be kept there, or some is there to be read."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK) or any(folder.iterdir())
    except OSError:
        return False


def _temporary(key: str) -> Path | None:
    """A folder that only this user can enter, where temporary files lie; code from anybody else's would be run."""
    with suppress(OSError):
        parent = Path(tempfile.gettempdir()) / f"kimi-cpu-{os.geteuid()}"
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)
        found = parent.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            folder = parent / key
            return folder if _usable(folder) else None
    return None
