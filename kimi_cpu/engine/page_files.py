"""The regular files of one folder, by name: what is anything else is neither opened nor followed nor removed."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not waiting: it may have become a FIFO
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def listed(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(name, status) of the regular files. OSError: there is no such folder, or it is a link to one."""
    with _opened(folder) as at:
        for name in os.listdir(at):
            try:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
            except OSError:
                continue  # another process was faster
            if stat.S_ISREG(status.st_mode):
                yield name, status


def read(folder: Path, name: str, num_bytes: int) -> bytes | None:
    """A file's content, or None when it is not of this size. OSError: it cannot be read, or is no regular file."""
    with _opened(folder) as at:
        _require_regular(os.stat(name, dir_fd=at, follow_symlinks=False), name)
        with open(os.open(name, READ, dir_fd=at), "rb") as file:
            status = os.fstat(file.fileno())
            _require_regular(status, name)
            return file.read(num_bytes) if status.st_size == num_bytes else None


def write(folder: Path, name: str, parts: Iterable, partial: str) -> None:
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


def remove(folder: Path, name: str) -> None:
    """Removes a file; one that is gone is no error. OSError: it cannot be removed, or is no regular file."""
    try:
        with _opened(folder) as at:
            _require_regular(os.stat(name, dir_fd=at, follow_symlinks=False), name)
            os.unlink(name, dir_fd=at)
    except FileNotFoundError:
        pass


def touch(folder: Path, names: Iterable[str]) -> None:
    """The files were used now, as far as that can be noted."""
    try:
        with _opened(folder) as at:
            for name in names:
                os.utime(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        pass  # it only decides what is removed first


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    at = os.open(folder, FOLDER)
    try:
        yield at
    finally:
        os.close(at)


def _require_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{name} is no regular file")
