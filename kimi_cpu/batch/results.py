"""The lines of the output: OpenAI's batch results, named after their requests, so that a line can be found again.

A result's key is the BLAKE2b-128 of its custom_id, or of its line's number where there is none that is its own; its id
is "batch_req_" and the key in hex. At its end a line says what it answers: digests of the request, without what changes
no answer, and of the run. Whoever reads a line need not parse it to know what it answers and how it went.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

from ..config.fields import WITHOUT_EFFECT

KEY_BYTES = 16
_HEAD = b'{"id": "batch_req_'  # every line begins so
_HEAD_BYTES = len(_HEAD) + 2 * KEY_BYTES
_SUCCESS = b'"response": {"status_code": 200,'  # no JSON string can hold this: its quotes would be escaped
_TAIL = re.compile(rb', "kimi_cpu": \{"request": "([0-9a-f]{32})", "run": "([0-9a-f]{32})"\}\}\n\Z')  # nor this
_TAIL_BYTES = 128  # or fewer
_VOLATILE = re.compile(rb'"(created|cached_tokens)": \d+')  # what differs between runs that answer alike
PIECE_BYTES = 1 << 20  # of a line, that are read at once


@dataclass(frozen=True)
class Failure:
    """Why a line has no answer, in the terms of OpenAI's error object."""

    message: str
    code: str | None = None
    param: str | None = None
    status: int = 400

    def body(self) -> dict:
        """{"error": {…}}."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class Digests(NamedTuple):
    """What a result answers. request: digest_of its line; run: digest_of_run."""

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
    """What a whole line answers; None: it was written by a version that did not say so."""
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
