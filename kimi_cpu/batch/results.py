"""Results, the lines of the output: how they are written and read, which of them exist, and how outputs are merged.

They are OpenAI's batch results, named after their requests, so that a line can be found again.

A result's key is the BLAKE2b-128 of its custom_id, or of its line's number where there is none that is its own; its id
is "batch_req_" and the key in hex. At its end a line says what it answers: digests of the request, without what changes
no answer, and of the run. A reader need not parse a line to know what it answers and how it went.
"""

import json
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from ..config.fields import WITHOUT_EFFECT
from ..errors import ConfigError
from ..files import spooled
from ..filetypes import HEAD_BYTES, other_kind

KEY_BYTES = 16
_HEAD = b'{"id": "batch_req_'  # every line begins so
_HEAD_BYTES = len(_HEAD) + 2 * KEY_BYTES
_SUCCESS = b'"response": {"status_code": 200,'  # no JSON string can hold this: its quotes would be escaped
_TAIL = re.compile(rb', "kimi_cpu": \{"request": "([0-9a-f]{32})", "run": "([0-9a-f]{32})"\}\}\n\Z')  # nor this
_TAIL_BYTES = 128  # or fewer
_VOLATILE = re.compile(rb'"(created|cached_tokens)": \d+')  # what differs between runs that answer alike
PIECE_BYTES = 1 << 20  # of a line, that are read at once
CACHE_KIB = 4 << 10  # of the index, in memory
FINISHED, READ = 1, 2  # bits of a key's state
BEST = """
CREATE TABLE best
    (key BLOB PRIMARY KEY, place INTEGER, is_answer INTEGER, request BLOB, answer BLOB, name TEXT) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Failure:
    """The reason why a line has no answer, in the terms of OpenAI's error object."""

    message: str
    code: str | None = None
    param: str | None = None
    status: int = 400

    def body(self) -> dict:
        """{"error": {…}}."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class Digests(NamedTuple):
    """Names of the question that a result answers. request: digest_of its line; run: digest_of_run."""

    request: bytes
    run: bytes


def digest_of(url: str, body: Mapping[str, Any]) -> bytes:
    """Names what a request asks: equal for bodies that ask the same."""
    asked = sorted((k, v) for k, v in body.items() if v is not None and k not in WITHOUT_EFFECT)
    return _digest(json.dumps([url, dict(asked)]).encode())  # deeper, the order counts: prompts show it


def digest_of_line(line: bytes) -> bytes:
    """The same for a line that is no request."""
    return _digest(line.strip())


def digest_of_run(identity: Mapping[str, str]) -> bytes:
    """Names all that answers depend on besides their requests."""
    return _digest(json.dumps(sorted(identity.items())).encode())


def digests_of_result(line: bytes) -> Digests | None:
    """The digests that a whole line carries; None: it was written by a version that had none."""
    found = _TAIL.search(line[-_TAIL_BYTES:])
    return found and Digests(*map(bytes.fromhex, (found[1].decode(), found[2].decode())))


def digest_of_answer(line: bytes) -> bytes:
    """Names an answer, whatever the run that gave it."""
    return _digest(_VOLATILE.sub(b"", _TAIL.sub(b"}\n", line)))


def key_of_id(custom_id: str) -> bytes:
    """Key of the request with this custom_id."""
    return _key("id", custom_id)


def key_of_line(number: int) -> bytes:
    """Key of a line, counted from 1, that has no custom_id of its own."""
    return _key("line", str(number))


def seed_of(custom_id: str, run_seed: int) -> int:
    """The seed of a request that names none: 64 bits that custom_id and the run's seed alone decide."""
    return int.from_bytes(_key(f"seed {run_seed}", custom_id)[:8], "little")


def success(key: bytes, custom_id: str, body: dict, digests: Digests) -> bytes:
    """The line of an answer, a newline at its end."""
    return _line(key, custom_id, 200, body, digests)


def failure(key: bytes, custom_id: str | None, why: Failure, digests: Digests) -> bytes:
    """The line of a request that failed, a newline at its end."""
    return _line(key, custom_id, why.status, why.body(), digests)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; of one that cannot be a result only the beginning, however long it is."""
    while line := file.readline(PIECE_BYTES):
        while not line.endswith(b"\n") and may_be_torn(line) and (more := file.readline(PIECE_BYTES)):
            line += more
        yield line
        if not line.endswith(b"\n"):
            return


def key_of_result(line: bytes) -> bytes | None:
    """The key of a whole line that `success` or `failure` made; None: it is something else."""
    if not (line.startswith(_HEAD) and line[_HEAD_BYTES : _HEAD_BYTES + 1] == b'"' and line.endswith(b"}\n")):
        return None
    try:
        return bytes.fromhex(line[len(_HEAD) : _HEAD_BYTES].decode("ascii"))
    except ValueError:
        return None


def is_success(line: bytes) -> bool:
    """Whether a line carries an answer."""
    return _SUCCESS in line


def was_cut(body: dict) -> tuple[bool, bool]:
    """Whether an answer of a response ended at its limit of tokens, and whether one had no content until then."""
    cut = [choice for choice in body.get("choices", ()) if choice["finish_reason"] == "length"]
    messages = [choice["message"] for choice in cut if "message" in choice]
    return bool(cut), any(not (message["content"] or message.get("tool_calls")) for message in messages)


def may_be_torn(line: bytes) -> bool:
    """Whether a line without its end may be the beginning of a result."""
    return line.startswith(_HEAD) or _HEAD.startswith(line)


def _key(kind: str, name: str) -> bytes:
    return blake2b(f"{kind}:{name}".encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=KEY_BYTES).digest()


def _line(key: bytes, custom_id: str | None, status: int, body: dict, digests: Digests) -> bytes:
    name = key.hex()
    result: dict[str, Any] = {
        "id": f"batch_req_{name}",
        "custom_id": custom_id,
        "response": {"status_code": status, "request_id": f"req_{name}", "body": body},
        "error": None,
        "kimi_cpu": {"request": digests.request.hex(), "run": digests.run.hex()},
    }
    try:
        return json.dumps(result, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
        return json.dumps(result).encode() + b"\n"


class Known(NamedTuple):
    """All that is known of a key when a line with it comes. finished: it has a result; digest: of the request that this
    answers, if it says so; again: a line with this key came before."""

    finished: bool
    digest: bytes | None
    again: bool


class Index:
    """A set of keys in a temporary file that is gone with the process: 53 bytes of disk a key, 4 MiB of memory."""

    def __init__(self):
        self._db = sqlite3.connect(temporary_place(), isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, state INTEGER, digest BLOB) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def add_finished(self, results: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Adds keys that have results: (key, digest of the request)."""
        rows = ((key, FINISHED, digest) for key, digest in results)
        self._db.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", rows)

    def __contains__(self, key: bytes) -> bool:
        """Whether it has a result."""
        row = self._db.execute("SELECT state FROM keys WHERE key = ?", (key,)).fetchone()
        return row is not None and row[0] & FINISHED != 0

    def read(self, key: bytes) -> Known:
        """Notes that a line with this key comes, and tells what was known of it before."""
        row = self._db.execute("SELECT state, digest FROM keys WHERE key = ?", (key,)).fetchone()
        if row is None:
            self._db.execute("INSERT INTO keys VALUES (?, ?, NULL)", (key, READ))
            return Known(False, None, False)
        state, digest = row
        if state == FINISHED:
            self._db.execute("UPDATE keys SET state = ? WHERE key = ?", (FINISHED | READ, key))
        return Known(bool(state & FINISHED), digest, bool(state & READ))


def temporary_place() -> str:
    """SQLite's name for a private file that is gone with the process, in $SQLITE_TMPDIR or /var/tmp; for memory where
    temporary files have no place, as in a container that can only be read."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        return ":memory:"
    return ""


@dataclass(frozen=True)
class Merged:
    """Counts of a merge: results written, those of them that are failures, lines left out because another answers the
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
        db.execute(BEST)
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
    """Chooses one result of each request."""

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


def _copy(path: Path, pipe: BufferedReader, file: IO[bytes]) -> None:
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
            other = other_kind(head, "output of kimi-cpu batch")
            if other is not None:
                raise ConfigError(f"{path}: {other}")
            raise ConfigError(f"{path}, line {number}, is no result of kimi-cpu batch.")
