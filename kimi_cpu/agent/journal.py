"""The journal of a run: its records, one a line, appended and brought to the disk before anything rests on them."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from ..files import lock, open_output, open_regular, output_path, private_directory
from .records import VERSION, Begun, Record, line_of, record_of

MAX_BYTES = 1 << 32  # of a journal; 300 steps of K2's have a few million


class Journal:
    """The open journal of one run. Another process that opens it gets a ConfigError."""

    def __init__(self, path: Path):
        """Opens a journal, or begins one. A line that was not written to its end, as by a process that was killed, is
        cut off. ConfigError: the file is something else, or damaged. OSError."""
        private_directory(path.parent)
        self.path = output_path(path)
        self._descriptor = open_output(self.path, private=True, flags=os.O_APPEND)
        try:
            lock(self._descriptor, self.path)
            self.records = self._read()
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Adds records; they are on the disk after. OSError."""
        data = memoryview(b"".join(map(line_of, records)))
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> list[Record]:
        records, size = read_journal(self.path)
        os.ftruncate(self._descriptor, size)
        return records


def read_journal(path: Path) -> tuple[list[Record], int]:
    """The records of a journal, and the bytes of their lines; behind these there may be the beginning of one more.
    ConfigError: it is no journal, or is damaged. OSError."""
    with open_regular(path) as file:
        lines = file.read(MAX_BYTES).splitlines(keepends=True)
    records: list[Record] = []
    size = 0
    for number, line in enumerate(lines, 1):
        try:
            if not line.endswith(b"\n"):
                break
            records.append(record_of(line))
        except ValueError:
            if number == len(lines) and records:  # a file system may have kept the length and not all of the bytes
                break
            if not records:
                raise ConfigError(f"{path} is no journal of a run; name another file.") from None
            raise ConfigError(
                f"{path} is damaged at line {number}; without that line and those after it, the run goes on from there."
            ) from None
        size += len(line)
    if lines and not records and not lines[0].startswith(b'{"kind":"begun"'[: len(lines[0])]):
        raise ConfigError(f"{path} is no journal of a run; name another file.")
    if records and not isinstance(records[0], Begun):
        raise ConfigError(f"{path} does not begin as a journal of a run does; name another file.")
    if records and isinstance(records[0], Begun) and records[0].version != VERSION:
        raise ConfigError(f"{path} has version {records[0].version} of journals, this program knows {VERSION}.")
    return records, size
