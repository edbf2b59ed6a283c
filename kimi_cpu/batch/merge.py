"""Outputs of shards, or of runs that overlap, joined into one: each request's result once."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..errors import ConfigError
from ..files import spooled
from ..filetypes import HEAD_BYTES, mistaken, recognised
from .index import temporary_place
from .results import Digests, digest_of_answer, digests_of_result, is_success, key_of_result, lines_of, may_be_torn

TABLE = """
CREATE TABLE best
    (key BLOB PRIMARY KEY, place INTEGER, is_answer INTEGER, request BLOB, answer BLOB, name TEXT) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Merged:
    """What a merge did: results written, those of them that are failures, lines left out because another answers the
    same request, those of them that answer it differently, and results that do not say what they answer."""

    num_results: int
    num_failed: int
    num_duplicates: int
    num_different: int
    num_unnamed: int


class _Result(NamedTuple):
    """A line, whose place among all of them counts from 0. where: as messages name it."""

    place: int
    where: str
    key: bytes
    line: bytes


def merge(paths: Sequence[Path], out: BinaryIO) -> Merged:
    """Writes the results of all files to out, in their order. Of several of one request the first answer is taken, or
    the first failure where there is no answer. A line that a crash cut off is left out. ConfigError, OSError."""
    with ExitStack() as stack:
        files = [(path, stack.enter_context(spooled(path, partial(_copy, path)))) for path in paths]
        db = stack.enter_context(closing(sqlite3.connect(temporary_place(), isolation_level=None)))
        db.execute("PRAGMA journal_mode = OFF")
        db.execute(TABLE)
        db.execute("BEGIN")
        choice = _Choice(db)
        for result in _results(files):
            choice.add(result)
        num_results = num_failed = num_lines = 0
        for result in _results(files):
            num_lines += 1
            if db.execute("SELECT place FROM best WHERE key = ?", (result.key,)).fetchone() == (result.place,):
                out.write(result.line)
                num_results += 1
                num_failed += not is_success(result.line)
        return Merged(num_results, num_failed, num_lines - num_results, choice.num_different, choice.num_unnamed)


class _Choice:
    """Which result of each request is taken."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self._run: bytes | None = None
        self._first = ""  # where the run was seen first
        self.num_different = self.num_unnamed = 0

    def add(self, result: _Result) -> None:
        """One more. ConfigError: it is of another run than those before, or answers another request."""
        digests, is_answer = digests_of_result(result.line), is_success(result.line)
        self._check_run(result, digests)
        request = digests and digests.request
        answer = digest_of_answer(result.line) if is_answer else None
        row = self._db.execute("SELECT is_answer, request, answer, name FROM best WHERE key = ?", (result.key,))
        found = row.fetchone()
        if found is None or is_answer > found[0]:
            values = (result.key, result.place, is_answer, request, answer, result.where)
            self._db.execute("INSERT OR REPLACE INTO best VALUES (?, ?, ?, ?, ?, ?)", values)
        elif is_answer:
            if None not in (request, found[1]) and request != found[1]:
                raise ConfigError(
                    f"{result.where}, answers another request than {found[3]}, under the same custom_id. Merge answers "
                    "to one input."
                )
            self.num_different += answer != found[2]

    def _check_run(self, result: _Result, digests: Digests | None) -> None:
        if digests is None:
            self.num_unnamed += 1
        elif self._run is None:
            self._run, self._first = digests.run, result.where
        elif digests.run != self._run:
            raise ConfigError(
                f"{result.where}, comes of another model, or of other options of sampling or loading, than "
                f"{self._first}. Merge results of one run and its shards."
            )


def _copy(path: Path, pipe: BufferedReader, file: BinaryIO) -> None:
    """Copies results. ConfigError: they are none, as what an endless pipe brings."""
    for _, line, _ in _lines(path, pipe):
        file.write(line)


def _results(files: Sequence[tuple[Path, Path]]) -> Iterator[_Result]:
    """All results of files: (as it is called, where it can be read)."""
    place = 0
    for path, readable in files:
        with readable.open("rb") as file:
            for key, line, number in _lines(path, file):
                yield _Result(place, f"{path}, line {number}", key, line)
                place += 1


def _lines(path: Path, file: BufferedReader) -> Iterator[tuple[bytes, bytes, int]]:
    """(key, line, its number) of a file's results. ConfigError."""
    head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    for number, line in enumerate(lines_of(file), 1):
        key = key_of_result(line)
        if key is not None:
            yield key, line, number
        elif line.endswith(b"\n") or not may_be_torn(line):
            if recognised(head) is not None:
                raise ConfigError(f"{path}: {mistaken(head, 'output of kimi-cpu batch')}")
            raise ConfigError(f"{path}, line {number}, is no result of kimi-cpu batch.")
