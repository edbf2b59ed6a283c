"""The input: lines read one by one, as jobs or with the reason why not, and the order in which jobs are given out."""

import codecs
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import ConfigError, RequestError, shown
from ..filetypes import HEAD_BYTES, TEXT, other_kind
from ..llm.parameters import well_formed
from .results import Failure, digest_of, digest_of_line, key_of_id, key_of_line

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MAX_LINE_BYTES = 64 << 20  # longer than any context that a model here has
PREFIX_CHARACTERS = 1 << 16  # of a prompt, that are compared with those of other prompts
MAX_JOBS = 1024  # that are read ahead
MAX_BYTES = 64 << 20  # of their lines
BITE = 256  # entries that are read before others get their turn
NUM_TRIED = 32  # jobs that are looked at for one that need not wait
LONG = 1024  # characters of a common beginning for which waiting pays, some 256 tokens


@dataclass(frozen=True, slots=True)
class Question:
    """The part of a request that its answer depends on. key: its result's."""

    key: bytes
    custom_id: str
    url: str
    body: dict


@dataclass(frozen=True, slots=True)
class Job(Question):
    """A request that can be run. prefix: the beginning of its prompt, as a text to compare. digest: see
    results.digest_of."""

    line: "Line"
    prefix: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that cannot be run. custom_id: where there is one."""

    key: bytes
    custom_id: str | None
    why: Failure
    line: "Line"

    @property
    def digest(self) -> bytes:
        """Names what was asked."""
        return self.line.digest


@dataclass(frozen=True, slots=True)
class Line:
    """The place of a line: its number, counted from 1, its bytes, and those of the input up to and with it. digest: of
    what it says."""

    number: int
    num_bytes: int
    end: int
    digest: bytes


@dataclass(frozen=True)
class Shard:
    """Part index of num_shards: the keys that leave this remainder."""

    index: int = 0
    num_shards: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard "I/N". I counts from 1; I = 0 is N, for those that count from 0. ConfigError."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and int(count) > 0 and int(index) <= int(count)):
            raise ConfigError(f"shard is {text!r}; it must be I/N, such as 1/3, 2/3 and 3/3.")
        return cls(int(index) % int(count), int(count))

    def holds(self, key: bytes) -> bool:
        """Whether a line with this key belongs here."""
        return int.from_bytes(key, "little") % self.num_shards == self.index


def read(path: Path, text: bool = False) -> Iterator[Job | Rejected]:
    """Every line of a file that is not blank. text: a line is a user's message as it is, named "line-N". OSError."""
    with path.open("rb") as file:
        end = 0
        for number, (line, num_bytes) in enumerate(_lines(file), 1):
            end += num_bytes
            if line is None or line.strip():
                place = Line(number, num_bytes, end, digest_of_line(line or b""))
                yield _long(place) if line is None else _text(line, place) if text else _request(line, place)


def check_readable(path: Path, text: bool = False) -> None:
    """ConfigError, saying what the input is and what to do, when it is no text, or no JSON where that is needed."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    other = other_kind(head, TEXT) if head else None
    if other is not None and (not text or not _is_text(head)):
        raise ConfigError(f"{path}: {other}")


def _is_text(head: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return "\0" not in decoder.decode(head)
    except UnicodeDecodeError:
        return False


def _lines(file: BinaryIO) -> Iterator[tuple[bytes | None, int]]:
    """(line, its bytes); None instead of a line that is too long."""
    while line := file.readline(MAX_LINE_BYTES):
        num_bytes = len(line)
        if num_bytes < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line, num_bytes
            continue
        while rest := file.readline(1 << 20):
            num_bytes += len(rest)
            if rest.endswith(b"\n"):
                break
        yield None, num_bytes


def _long(place: Line) -> Rejected:
    return _nameless(place, f"Line {place.number} is longer than {MAX_LINE_BYTES >> 20} MiB.", "invalid_json_line")


def _nameless(place: Line, message: str, code: str, param: str | None = None) -> Rejected:
    return Rejected(key_of_line(place.number), None, Failure(message, code, param), place)


def _text(line: bytes, place: Line) -> Job | Rejected:
    custom_id = f"line-{place.number}"
    try:
        content = _decoded(line.rstrip(b"\r\n"), place)
    except UnicodeDecodeError as e:
        why = Failure(f"Line {place.number} is not UTF-8: {e.reason} at byte {e.start}.", "invalid_text_line")
        return Rejected(key_of_id(custom_id), custom_id, why, place)
    body = {"messages": [{"role": "user", "content": content}]}
    return Job(key_of_id(custom_id), custom_id, CHAT, body, place, content[:PREFIX_CHARACTERS], digest_of(CHAT, body))


def _request(line: bytes, place: Line) -> Job | Rejected:
    try:
        request = _JSON.decode(_decoded(line, place))
    except (ValueError, RecursionError) as e:  # UnicodeDecodeError is a ValueError
        return _nameless(place, f"Line {place.number} is not JSON: {e}.", "invalid_json_line")
    if not isinstance(request, dict):
        return _nameless(place, f"Line {place.number} is not a JSON object.", "invalid_json_line")
    custom_id = request.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        message = f"Line {place.number} has no custom_id: a text that no other line has."
        return _nameless(place, message, "missing_required_parameter", "custom_id")
    why = _wrong(request)
    if why is not None:
        return Rejected(key_of_id(custom_id), custom_id, why, place)
    try:
        url, body = request["url"], well_formed(request["body"])
    except RequestError as e:
        return Rejected(key_of_id(custom_id), custom_id, Failure(str(e), "invalid_value", "body"), place)
    return Job(key_of_id(custom_id), custom_id, url, body, place, _prefix(url, body), digest_of(url, body))


def _decoded(line: bytes, place: Line) -> str:
    """A line's text; the first one may begin with a byte order mark."""
    return line.decode("utf-8-sig" if place.number == 1 else "utf-8")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


_JSON = json.JSONDecoder(parse_constant=_no_number)


def _wrong(request: dict[str, Any]) -> Failure | None:
    """The fault of a request apart from its body."""
    unknown = sorted(set(request) - {"custom_id", "method", "url", "body"})
    if unknown:
        return Failure(
            f"Unknown field {shown(unknown[0])}; a line has custom_id, method, url and body.",
            "unknown_parameter",
            unknown[0],
        )
    if request.get("method", "POST") != "POST":
        return Failure(f"method is {shown(request['method'])}; it must be POST.", "invalid_method", "method")
    if request.get("url") not in (CHAT, COMPLETIONS):
        return Failure(f"url is {shown(request.get('url'))}; it must be {CHAT} or {COMPLETIONS}.", "invalid_url", "url")
    if not isinstance(request.get("body"), dict):
        return Failure("body is missing; it must be a JSON object.", "missing_required_parameter", "body")
    return None


def _prefix(url: str, body: dict) -> str:
    """The beginning of a prompt, near enough as the model will see it: tools first, then the messages in order."""
    prompt = [body.get("tools"), body.get("messages")] if url == CHAT else body.get("prompt")
    text = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
    return text[:PREFIX_CHARACTERS]


Entry = tuple[int, Job | Rejected] | None  # with its position among the results; None: a line with nothing to do


class Prompts(NamedTuple):
    """Beginnings of the prompts that a model computes now, and of those that it has computed."""

    computing: Sequence[str] = ()
    computed: Sequence[str] = ()

    def num_shared(self, prefix: str) -> int:
        """Length of the beginning that a prompt has in common with one of them; 0 if it is not long."""
        return max(_longest(prefix, self.computing), _longest(prefix, self.computed))

    def should_wait(self, prefix: str) -> bool:
        """Whether a prompt has a long beginning in common with one that is being computed, and with none that is."""
        longest = _longest(prefix, self.computing)
        return longest >= LONG and all(num_common(prefix, other) + LONG <= longest for other in self.computed)


class Window:
    """Jobs that were read ahead, given out sorted by their prompts, so that those with a common beginning follow each
    other and find it computed."""

    def __init__(self, entries: Iterator[Entry], max_jobs: int = MAX_JOBS):
        self._entries, self._max_jobs = entries, max_jobs
        self._incoming: list[tuple[int, Job]] = []
        self._incoming_bytes = 0
        self._sorted: deque[tuple[int, Job]] = deque()
        self._ended = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to give out, now and later."""
        return self._ended and not self._sorted

    @property
    def has_jobs(self) -> bool:
        """Whether there is one to give out."""
        return bool(self._sorted)

    def fill(self) -> list[tuple[int, Rejected]]:
        """Reads on, a little, if no job is at hand; what cannot be run comes back."""
        rejected: list[tuple[int, Rejected]] = []
        for _ in range(BITE):
            if self._sorted or self._ended:
                break
            try:
                entry = next(self._entries)
            except StopIteration:
                self._ended = True
                self._sort()
                break
            if entry is None:
                continue
            position, item = entry
            if isinstance(item, Rejected):
                rejected.append((position, item))
            else:
                self._incoming.append((position, item))
                self._incoming_bytes += item.line.num_bytes
                if len(self._incoming) >= self._max_jobs or self._incoming_bytes >= MAX_BYTES:
                    self._sort()
        return rejected

    def take(self, here: Prompts, elsewhere: Iterable[Prompts] = ()) -> tuple[int, Job] | None:
        """The next job for the model that has the prompts `here`. None: there is none; or it is better to wait until a
        prompt is computed, or to leave the jobs to other models, which have the prompts `elsewhere`."""
        for i in range(min(NUM_TRIED, len(self._sorted))):
            prefix = self._sorted[i][1].prefix
            if not here.should_wait(prefix) and not _belongs(prefix, here, elsewhere):
                entry = self._sorted[i]
                del self._sorted[i]
                return entry
        return None

    def _sort(self) -> None:
        self._sorted = deque(sorted(self._incoming, key=lambda entry: entry[1].prefix))
        self._incoming, self._incoming_bytes = [], 0


def _belongs(prefix: str, here: Prompts, elsewhere: Iterable[Prompts]) -> bool:
    """Whether another model has more of a prompt than the one here."""
    least = here.num_shared(prefix) + LONG if elsewhere else 0
    return any(prompts.num_shared(prefix) >= least for prompts in elsewhere)


def _longest(prefix: str, prompts: Iterable[str]) -> int:
    """Length of the longest beginning that a prompt has in common with others; 0 if it is not long."""
    head = prefix[:LONG]
    if len(head) < LONG:
        return 0
    return max((num_common(prefix, other) for other in prompts if other.startswith(head)), default=0)


def num_common(a: str, b: str) -> int:
    """Length of the common beginning of two texts."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
