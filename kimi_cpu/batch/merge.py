"""Outputs of shards, or of runs that overlap, joined into one: each request's result once."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import ConfigError
from .results import is_success, key_of_result, may_be_torn


@dataclass(frozen=True)
class Merged:
    """What a merge did: results written, those of them that are failures, and lines left out because another answers
    the same request."""

    num_results: int
    num_failed: int
    num_duplicates: int


def merge(paths: Sequence[Path], out: BinaryIO) -> Merged:
    """Writes the results of all files to out, in their order. Of several of one request the first answer is taken, or
    the first failure where there is no answer. A line that a crash cut off is left out. ConfigError, OSError."""
    db = sqlite3.connect("", isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("CREATE TABLE best (key BLOB PRIMARY KEY, place INTEGER, is_answer INTEGER) WITHOUT ROWID")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO best VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place, is_answer = 1 "
            "WHERE excluded.is_answer > best.is_answer",
            ((key, place, is_success(line)) for place, (key, line) in enumerate(_results(paths))),
        )
        num_results = num_failed = num_lines = 0
        for place, (key, line) in enumerate(_results(paths)):
            num_lines += 1
            if db.execute("SELECT place FROM best WHERE key = ?", (key,)).fetchone() == (place,):
                out.write(line)
                num_results += 1
                num_failed += not is_success(line)
        return Merged(num_results, num_failed, num_lines - num_results)
    finally:
        db.close()


def _results(paths: Sequence[Path]) -> Iterator[tuple[bytes, bytes]]:
    """(key, line) of all results."""
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                key = key_of_result(line)
                if key is not None:
                    yield key, line
                elif line.endswith(b"\n") or not may_be_torn(line):
                    raise ConfigError(f"{path}, line {number}, is no result of kimi-cpu batch.")
