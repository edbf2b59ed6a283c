"""The output of a conversion while it grows, OUT.partial, and the journal beside it that says what of it is done.

The journal is a text file, one line a fact, appended:

    boot ID       the lines were written under this boot of the machine, or are known to be synced
    part U P      part P of unit U is in the file
    unit U HEX    unit U is whole, with this SHA-256
    synced N      what the first N lines say is on the disk

A process that is killed loses nothing that it has written: the system still has it. A machine that loses power may lose
what was not synced; then the boot ID has changed, and only lines that are known to be synced count. The others are
forgotten, so that a later "synced" does not speak for them.

The output is written past the page cache where the system lets us. A buffered write of a file is a copy under one lock,
and on a machine whose memory is full of other pages it is slower than the disk. O_DIRECT writes of whole pages take
neither; what does not fill pages, and every file on a file system that has no such writes, goes through the cache.
"""

import contextlib
import errno
import mmap
import os
import re
import threading
from pathlib import Path

import numpy as np

from ..files import lock, open_output, replacing, reserve

TITLE = "kimi-cpu conversion "
FACT = re.compile(r"part [0-9]{1,12} [0-9]{1,12}|unit [0-9]{1,12} [0-9a-f]{64}|synced [0-9]{1,12}")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PAGE = 4096  # addresses, places and sizes that every disk takes
LEAST_DIRECT = 1 << 19  # smaller writes are gathered by the cache better than by the disk
STAGING_BYTES = 4 << 20  # copied at a time where the bytes do not begin at a page


class OutputFile:
    """The open output of one conversion, for its threads. Another conversion that opens it gets a ConfigError."""

    def __init__(self, path: Path):
        self.path, self.has_lost = path, False
        self._direct, self._buffered = -1, open_output(path)
        try:
            lock(self._buffered, path)
        except BaseException:
            self.close()
            raise
        with contextlib.suppress(OSError, AttributeError):  # tmpfs, other systems
            self._direct = os.open(path, os.O_RDWR | os.O_DIRECT)

    def resize(self, size: int, keep: bool) -> None:
        """Sets its size in bytes, and takes the space. keep: its content stays; else all of it is zeros."""
        if not keep:
            os.ftruncate(self._buffered, 0)
        reserve(self._buffered, size)
        os.ftruncate(self._buffered, size)

    def write(self, offset: int, data: np.ndarray) -> None:
        """All of data u8[n], contiguous, at an offset."""
        view, whole = memoryview(data).cast("B"), data.nbytes // PAGE * PAGE
        if self._direct >= 0 and offset % PAGE == 0 and whole >= LEAST_DIRECT:
            done = self._write_direct(offset, data[:whole])
            view, offset = view[done:], offset + done
        while len(view):
            written = os.pwrite(self._buffered, view, offset)
            view, offset = view[written:], offset + written

    def read(self, offset: int, nbytes: int) -> bytes:
        return os.pread(self._buffered, nbytes, offset)

    def sync(self) -> None:
        """Brings what was written to the disk, and out of the system's cache. OSError: it may be lost, which the system
        tells once only and `has_lost` from then on."""
        try:
            os.fdatasync(self._buffered)
        except OSError:
            self.has_lost = True
            raise
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._buffered, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        for descriptor in (self._direct, self._buffered):
            if descriptor >= 0:
                os.close(descriptor)
        self._direct = self._buffered = -1

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _write_direct(self, offset: int, data: np.ndarray) -> int:
        """Bytes of whole pages that were written: all, or fewer if the system refuses."""
        step, staging = (data.nbytes, None) if data.ctypes.data % PAGE == 0 else (STAGING_BYTES, _staging())
        for begin in range(0, data.nbytes, step):
            piece = data[begin : begin + step]
            if staging is not None:
                staging[: piece.nbytes] = piece
                piece = staging[: piece.nbytes]
            view, at = memoryview(piece), offset + begin
            while len(view):
                try:
                    written = os.pwrite(self._direct, view, at)
                except OSError as e:
                    if e.errno != errno.EINVAL:
                        raise
                    written = 0  # pages of another size, or no such writes after all
                if written == 0 or written % PAGE:
                    return at - offset + written // PAGE * PAGE
                view, at = view[written:], at + written
        return data.nbytes


def _staging() -> np.ndarray:
    """u8[STAGING_BYTES] that begin at a page."""
    return np.frombuffer(mmap.mmap(-1, STAGING_BYTES), np.uint8)


class Journal:
    """An open journal, for several threads. done: each (unit, part) that is packed; hashes: of whole units."""

    def __init__(self, path: Path, key: str, resume: bool):
        """key: names the conversion; a journal of another one does not count."""
        self.path = path
        self.done: set[tuple[int, int]] = set()
        self.hashes: dict[int, bytes] = {}
        self._lock = threading.Lock()
        title, boot = TITLE + key, f"boot {_boot_id()}"
        lines = _undamaged(_read(path)) if resume else []
        self.resumed = lines[:1] == [title]
        facts = _trusted(lines, boot) if self.resumed else []
        self._replay(facts)
        lines = [title, boot, *facts]
        _write_whole(path, lines)
        self._file = path.open("a", encoding="ascii")
        self._num_lines = len(lines)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def part(self, unit: int, part: int) -> None:
        """A part was written."""
        self._write(f"part {unit} {part}")

    def unit(self, unit: int, digest: bytes) -> None:
        """A unit is whole."""
        self.hashes[unit] = digest
        self._write(f"unit {unit} {digest.hex()}")

    def sync(self, output: OutputFile) -> None:
        """Brings the output, and then the journal, to the disk."""
        num_lines = self._num_lines
        output.sync()
        self._write(f"synced {num_lines}")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _write(self, line: str) -> None:
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            self._num_lines += 1

    def _replay(self, facts: list[str]) -> None:
        for line in facts:
            match line.split():
                case ["part", unit, part]:
                    self.done.add((int(unit), int(part)))
                case ["unit", unit, digest]:
                    self.hashes[int(unit)] = bytes.fromhex(digest)


def forget(path: Path) -> None:
    """Empties a journal: nothing is done. OSError."""
    _write_whole(path, [TITLE])


def keep_synced(path: Path) -> None:
    """Shortens a journal to what is on the disk for sure. OSError."""
    lines = _undamaged(_read(path))
    _write_whole(path, [*lines[:1], f"boot {_boot_id()}", *_trusted(lines, boot="")])


def is_journal(path: Path) -> bool:
    """Whether a file is the journal of a conversion, whole or not. OSError."""
    with path.open("rb") as file:
        return file.read(len(TITLE)) == TITLE.encode()


def _undamaged(lines: list[str]) -> list[str]:
    """The lines before the first one that says nothing: title and boot, then facts."""
    bad = next((number for number, line in enumerate(lines) if number > 1 and not FACT.fullmatch(line)), len(lines))
    return lines[:bad]


def _trusted(lines: list[str], boot: str) -> list[str]:
    """The lines that say what is in the output for sure: all of this boot's, of another one's those that are synced."""
    if lines[1:2] == [boot]:
        return lines[2:]
    synced = [int(line.removeprefix("synced ")) for line in lines[2:] if line.startswith("synced ")]
    facts = [line for line in lines[2 : max(synced, default=0)] if not line.startswith("synced ")]
    return [*facts, f"synced {2 + len(facts)}"]


def _write_whole(path: Path, lines: list[str]) -> None:
    """The file is the old one or the new one, for a machine that loses power, too."""
    with replacing(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)


def _read(path: Path) -> list[str]:
    """Whole lines; the last one is cut off if the writer was killed within it."""
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # no such thing on this system: only synced lines count
        return f"unknown-{os.getpid()}"
