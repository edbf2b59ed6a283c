"""Files: what is read is a regular one, and what is written lands where its name leads, the old one or the new one.

Every file that a command writes is found by output_path, so that no device, pipe or input is ever written over, and a
link stays what it is.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO, cast

from .errors import ConfigError

BESIDE = (".partial", ".journal")  # endings of the files that stand beside an unfinished output
STDIN = Path("/dev/stdin")
MAX_LINKS = 40  # that Linux follows
BELOW_HOME = {"CACHE": ".cache", "CONFIG": ".config", "DATA": ".local/share", "STATE": ".local/state"}
DEVICES = (("dev",), ("proc",))  # /dev/stdout and its kin may be regular files, but they are somebody else's


def output_path(path: Path, inputs: Iterable[Path] = ()) -> Path:
    """The place of an output: a regular file or a free name, links followed. inputs: files that it must not be.

    ConfigError: it is no file that may be written. OSError: its folder is not there, or takes no files.
    """
    end = _followed(path)
    for place in (end, *(end.with_name(end.name + ending) for ending in BESIDE)):
        _check_place(place, inputs)
    if not os.access(end.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no file can be written in this folder", str(end.parent))
    return end


def check_replaceable(path: Path, what: str, is_one: Callable[[Path], bool], force: bool, how: str = "--force") -> None:
    """ConfigError unless `path` is free or empty, or is a `what` that is to be replaced. how: what asks for that."""
    if not path.exists() or not path.stat().st_size:
        return
    if not is_one(path):
        raise ConfigError(f"{path} is no {what}, so it is never replaced; name another file.")
    if not force:
        raise ConfigError(f"{path} exists; {how} replaces it, or name another file.")


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends, whole and synced; an exception leaves what
    was there. private: for its owner only. ConfigError: see output_path, or another process writes it. OSError."""
    path = output_path(path)
    partial = path.with_name(path.name + ".partial")
    file = os.fdopen(exclusive(partial, private), "wb")
    try:
        with naming(path):
            file.truncate()  # what a process that was killed has left
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
            sync_directory(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):  # what could not be flushed before cannot be now
            file.close()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of the block that names no file names this one."""
    try:
        yield
    except OSError as e:
        if e.errno is not None and e.filename is None:
            e.filename = str(path)
        raise


def exclusive(path: Path, private: bool) -> int:
    """A descriptor to read and write a file that no other process writes, which is made if it is not there. private:
    it is its owner's only from now on. ConfigError: another process writes it. OSError."""
    while True:
        descriptor = open_output(path, private)
        try:
            lock(descriptor, path)
            if private:
                os.fchmod(descriptor, 0o600)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                    return descriptor  # else the process before has given it another name, or its name to another
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def open_output(path: Path, private: bool = False, flags: int = 0) -> int:
    """A descriptor to read and write a file that stays where it is; it is made if it is not there. OSError."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600 if private else 0o666)
    if is_new:
        if private:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
        sync_directory(path.parent)
    return descriptor


def lock(descriptor: int, path: Path) -> None:
    """Keeps other processes away from an open file until it is closed. ConfigError: one is there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.EACCES):
            raise ConfigError(f"{path} is being written by another process; wait for its end.") from None
        # a file system without locks


def reserve(descriptor: int, size: int) -> None:
    """Takes the space for a file of so many bytes, where the file system can. OSError: there is too little.

    Not os.posix_fallocate: where a file system cannot reserve, the C library would write every block instead.
    """
    fallocate = _fallocate()
    while fallocate is not None and fallocate(descriptor, 0, 0, size) != 0:
        code = ctypes.get_errno()
        if code in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def private_directory(path: Path) -> Path:
    """Makes a directory that its owner alone can look into, and those above it; one that is there stays as it is.
    OSError: something else is there."""
    if path.is_dir():
        return path
    private_directory(path.parent)
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask is
    except FileExistsError:
        if not path.is_dir():  # else another process was faster
            raise
    return path


def open_regular(path: Path) -> BufferedReader:
    """A regular file to read. OSError: there is none, or at once, without waiting for a writer, what it is instead."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    what = "a directory" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
    raise OSError(errno.EINVAL, f"this is {what} and no file", str(path))


@contextmanager
def spooled(path: Path, copy: Callable[[BufferedReader, IO[bytes]], None] = shutil.copyfileobj) -> Iterator[Path]:
    """A file that can be read again and again: `path`, or where copy(pipe, file) has put what comes through a pipe.
    ConfigError: it is neither. OSError."""
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        yield path
        return
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is no file and no pipe; name one.")
    with tempfile.NamedTemporaryFile(prefix="kimi-cpu-") as file:
        with cast(BufferedReader, sys.stdin.buffer) if path == STDIN else path.open("rb") as pipe:
            copy(pipe, file)
        file.flush()
        yield Path(file.name)


def read_regular(path: Path, most: int) -> bytes:
    """All bytes of a regular file of at most so many. OSError as open_regular, and for a larger file."""
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"has more than {most >> 20} MiB", str(path))
    return data


def sync_directory(path: Path) -> None:
    """Brings the names in a directory to the disk. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_folder(kind: str) -> Path | None:
    """$XDG_{kind}_HOME/kimi-cpu, by default below the home directory; it need not exist.

    None when there is neither, as for a user id that the system does not know, in a container.
    """
    if named := os.environ.get(f"XDG_{kind}_HOME"):
        return Path(named) / "kimi-cpu"
    try:
        return Path.home() / BELOW_HOME[kind] / "kimi-cpu"
    except RuntimeError:  # no $HOME, and no such user
        return None


def _followed(path: Path) -> Path:
    """The end of a chain of links, which need not exist."""
    at = path
    for _ in range(MAX_LINKS):
        folder = at.parent.resolve()
        if str(path) == "-" or (folder.parts[1:2] in DEVICES and folder.parts[1:3] != ("dev", "shm")):
            raise ConfigError(f"{path} is no regular file; name one.")
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
        at = folder / at.name
        if not at.name or at.is_dir():
            raise ConfigError(f"{path} is a directory; name a file.")
        if not at.is_symlink():
            return at
        at = folder / os.readlink(at)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _check_place(place: Path, inputs: Iterable[Path]) -> None:
    """ConfigError unless a name is free or a regular file that is none of the inputs."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{place} is no regular file; name one.")
    for path in inputs:
        with suppress(OSError):
            if os.path.samestat(found, path.stat()):
                raise ConfigError(f"{place} is an input, {path}; name another file for the output.")


@cache
def _fallocate():
    """fallocate(2), or None where there is none."""
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function
