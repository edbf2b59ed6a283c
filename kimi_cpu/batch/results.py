"""The lines of the output: OpenAI's batch results, named after their requests, so that a line can be found again.

A result's key is the BLAKE2b-128 of its custom_id, or of its line's number where there is none that is its own; its id
is "batch_req_" and the key in hex. Whoever reads a line need not parse it to know what it answers and how it went.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

KEY_BYTES = 16
_HEAD = b'{"id": "batch_req_'  # every line begins so
_HEAD_BYTES = len(_HEAD) + 2 * KEY_BYTES
_SUCCESS = b'"response": {"status_code": 200,'  # no JSON string can hold this: its quotes would be escaped


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


def key_of_id(custom_id: str) -> bytes:
    """Key of the request with this custom_id."""
    return _key("id", custom_id)


def key_of_line(number: int) -> bytes:
    """Key of a line, counted from 1, that has no custom_id of its own."""
    return _key("line", str(number))


def seed_of(custom_id: str, run_seed: int) -> int:
    """The seed of a request that names none: 64 bits that custom_id and the run's seed alone decide."""
    return int.from_bytes(_key(f"seed {run_seed}", custom_id)[:8], "little")


def success(key: bytes, custom_id: str, body: dict) -> bytes:
    """The line of an answer, a newline at its end."""
    return _line(key, custom_id, 200, body)


def failure(key: bytes, custom_id: str | None, why: Failure) -> bytes:
    """The line of a request that failed, a newline at its end."""
    return _line(key, custom_id, why.status, why.body())


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


def _line(key: bytes, custom_id: str | None, status: int, body: dict) -> bytes:
    name = key.hex()
    result: dict[str, Any] = {
        "id": f"batch_req_{name}",
        "custom_id": custom_id,
        "response": {"status_code": status, "request_id": f"req_{name}", "body": body},
        "error": None,
    }
    try:
        return json.dumps(result, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
        return json.dumps(result).encode() + b"\n"
