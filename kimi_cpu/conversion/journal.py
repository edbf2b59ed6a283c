"""What of an interrupted conversion is done: a text file beside the output, one line a fact, appended.

    boot ID       the lines were written under this boot of the machine, or are known to be synced
    part U P      part P of unit U is in the file
    unit U HEX    unit U is whole, with this SHA-256
    synced N      what the first N lines say is on the disk

A process that is killed loses nothing that it has written: the system still has it. A machine that loses power may lose
what was not synced; then the boot ID has changed, and only lines that are known to be synced count. The others are
forgotten, so that a later "synced" does not speak for them.
"""

import os
import re
import threading
from pathlib import Path

from ..files import replacing
from .output import OutputFile

TITLE = "kimi-cpu conversion "
FACT = re.compile(r"part [0-9]{1,12} [0-9]{1,12}|unit [0-9]{1,12} [0-9a-f]{64}|synced [0-9]{1,12}")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Journal:
    """An open journal, for several threads. done: parts, hashes: units that need not be packed again."""

    def __init__(self, path: Path, plan_key: str, resume: bool):
        """plan_key: names the conversion; a journal of another one does not count."""
        self.path = path
        self.done: set[tuple[int, int]] = set()
        self.hashes: dict[int, bytes] = {}
        self._lock = threading.Lock()
        title, boot = TITLE + plan_key, f"boot {_boot_id()}"
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
    """Lets a journal say that nothing is done. OSError."""
    _write_whole(path, [TITLE])


def keep_synced(path: Path) -> None:
    """Lets a journal say only what is on the disk for sure. OSError."""
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
