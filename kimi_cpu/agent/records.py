"""The records of a run, in the order in which things happen: frozen values, and a line of JSON each.

A run is the sum of its records (transcript.py); the journal keeps them, the terminal and a trace's page show them.
"""

import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

VERSION = 1
Status = Literal["done", "failed", "timed out", "denied", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A run begins. run: names it, in hex. before: messages of the conversation that the task goes on with. model: hash
    of the weights. tools: names of those that are offered."""

    kind: Literal["begun"] = "begun"
    version: int = VERSION
    run: str
    task: str
    system: str | None
    before: list[dict[str, Any]] = field(default_factory=list)
    model: str
    tools: list[str]
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A message for the model, by its user or by the program. last: why the turn that it asks for may call no tool and
    is the run's last, if it is."""

    kind: Literal["told"] = "told"
    content: str
    by: Literal["user", "program"]
    last: str | None = None
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A turn of the model: the step-th, counted from 1. message: as the next prompt has it; None for a turn that is
    left out of it (cut off, empty, or in a circle: "repetition"), which finish_reason explains. The numbers are tokens,
    and seconds."""

    kind: Literal["answered"] = "answered"
    step: int
    message: dict[str, Any] | None
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    prefill_s: float
    decode_s: float
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """A call begins. call: names it, STEP.INDEX."""

    kind: Literal["called"] = "called"
    call: str
    name: str
    arguments: str
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    """A call has a result. content: as the model sees it. chars: of the whole result; file: that holds it, in the
    folder of results, where content is a part of it."""

    kind: Literal["returned"] = "returned"
    call: str
    name: str
    status: Status
    content: str
    chars: int
    file: str | None = None
    seconds: float = 0.0
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortened:
    """From here on the model sees only the beginnings of the results of these calls."""

    kind: Literal["shortened"] = "shortened"
    calls: list[str]
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summarised:
    """From here on a summary by the model stands for all turns but the last. The numbers: as in Answered."""

    kind: Literal["summarised"] = "summarised"
    content: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The run has ended. reason: "answered", or why there is no answer or it came early."""

    kind: Literal["ended"] = "ended"
    reason: str
    content: str | None
    at: float = field(default_factory=time.time)


Record = Begun | Told | Answered | Called | Returned | Shortened | Summarised | Ended
_ADAPTER: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def line_of(record: Record) -> bytes:
    """The record as a line of JSON."""
    return _ADAPTER.dump_json(record) + b"\n"


def record_of(line: bytes) -> Record:
    """The record of a line. ValueError: it is none."""
    return _ADAPTER.validate_json(line)
