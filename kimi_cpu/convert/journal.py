"""What of an interrupted conversion is done: a text file beside the output, one line a fact, appended.

    boot ID       a run begins; lines that follow were written under this boot of the machine
    part U P      part P of unit U is in the file
    unit U HEX    unit U is whole, with this SHA-256
    synced N      what the first N lines say is on the disk

A process that is killed loses nothing that it has written: the system still has it. A machine that loses power may lose
what was not synced; then the boot ID has changed, and only lines that are known to be synced count.
"""

import os
import threading
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Journal:
    """An open journal, for several threads. done: parts, hashes: units that need not be packed again."""

    def __init__(self, path: Path, plan_key: str, resume: bool):
        """plan_key: names the conversion; a journal of another one does not count."""
        self.path = path
        self.done: set[tuple[int, int]] = set()
        self.hashes: dict[int, bytes] = {}
        self._lock = threading.Lock()
        title = f"kimi-cpu conversion {plan_key}"
        lines = _read(path) if resume else []
        self.resumed = bool(lines) and lines[0] == title
        if self.resumed:
            self._replay(lines)
        lines = lines if self.resumed else [title]
        fresh = path.with_name(path.name + ".new")  # a last line that was cut short is not in it
        fresh.write_text("".join(line + "\n" for line in lines), encoding="ascii")
        fresh.replace(path)
        self._file = path.open("a", encoding="ascii")
        self._num_lines = len(lines)
        self._write(f"boot {_boot_id()}")

    def part(self, unit: int, part: int) -> None:
        """A part was written."""
        self._write(f"part {unit} {part}")

    def unit(self, unit: int, digest: bytes) -> None:
        """A unit is whole."""
        self.hashes[unit] = digest
        self._write(f"unit {unit} {digest.hex()}")

    def sync(self, descriptor: int) -> None:
        """Brings the output, and then the journal, to the disk."""
        num_lines = self._num_lines
        os.fdatasync(descriptor)
        self._write(f"synced {num_lines}")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """The output is whole; the journal is not needed any more."""
        self.close()
        self.path.unlink()

    def _write(self, line: str) -> None:
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            self._num_lines += 1

    def _replay(self, lines: list[str]) -> None:
        same_boot = all(line == f"boot {_boot_id()}" for line in lines if line.startswith("boot "))
        synced = [int(line.split()[1]) for line in lines if line.startswith("synced ")]
        trusted = len(lines) if same_boot else max(synced, default=0)
        for line in lines[:trusted]:
            match line.split():
                case ["part", unit, part] if unit.isdigit() and part.isdigit():
                    self.done.add((int(unit), int(part)))
                case ["unit", unit, digest] if unit.isdigit() and len(digest) == 64:
                    self.hashes[int(unit)] = bytes.fromhex(digest)


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
