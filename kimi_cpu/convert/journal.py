"""What of an interrupted conversion is done: a text file beside the output, one line a fact, appended.

    boot ID       a run begins; lines that follow were written under this boot of the machine
    part U P      part P of unit U is in the file
    unit U HEX    unit U is whole, with this SHA-256
    synced        all lines before this one are on the disk

A process that is killed loses nothing that it has written: the system still has it. A machine that loses power may lose
what was not synced; then the boot ID has changed, and lines after the last "synced" do not count.
"""

import os
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Journal:
    """An open journal. done: parts, hashes: units that need not be packed again. Not thread-safe."""

    def __init__(self, path: Path, plan_key: str, resume: bool):
        """plan_key: names the conversion; a journal of another one does not count."""
        self.path = path
        self.done: set[tuple[int, int]] = set()
        self.hashes: dict[int, bytes] = {}
        known = _read(path) if resume else []
        self.resumed = bool(known) and known[0] == f"kimi-cpu conversion {plan_key}"
        if self.resumed:
            self._replay(known[1:])
        self._file = path.open("a" if self.resumed else "w", encoding="ascii")
        if not self.resumed:
            self._write(f"kimi-cpu conversion {plan_key}")
        else:
            self._file.write("\n")  # ends a line that was cut short
        self._write(f"boot {_boot_id()}")

    def part(self, unit: int, part: int) -> None:
        """A part was written."""
        self._write(f"part {unit} {part}")

    def unit(self, unit: int, digest: bytes) -> None:
        """A unit is whole."""
        self.hashes[unit] = digest
        self._write(f"unit {unit} {digest.hex()}")

    def synced(self) -> None:
        """All that was said so far is on the disk; the caller has synced the output."""
        self._write("synced")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """The output is whole; the journal is not needed any more."""
        self.close()
        self.path.unlink()

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()

    def _replay(self, lines: list[str]) -> None:
        boots = [i for i, line in enumerate(lines) if line.startswith("boot ")]
        same_boot = all(lines[i] == f"boot {_boot_id()}" for i in boots)
        last = (
            len(lines)
            if same_boot
            else len(lines) - next((i for i, s in enumerate(lines[::-1]) if s == "synced"), len(lines))
        )
        for line in lines[:last]:
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
