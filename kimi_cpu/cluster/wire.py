"""Requests, answers and facts as bytes: JSON that is made and checked here, so that no host unpickles what another
says."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..batch.model import Answered, Failed, Grown, Lost, Tokens
from ..batch.results import Failure
from ..batch.source import Question
from ..errors import KimiError

Event = Grown | Answered | Failed


class Facts(NamedTuple):
    """What must be the same on hosts that answer alike. program: names the package's sources; weights: the model
    file's hashes; tier: the kernels' instruction set."""

    program: str
    weights: str
    tier: str


class Loaded(NamedTuple):
    """An engine that is ready. port: it listens there. identity: see model.Model. notices: sentences for the owner of
    its host."""

    port: int
    identity: dict[str, str]
    notices: list[str]


class Refused(KimiError):
    """A host cannot take part; says why."""


class Start(NamedTuple):
    """A request to begin an answer, of which the ids `resume` are known. ticket: a number of its own, by which its
    events are told from those of an answer that was withdrawn before."""

    ticket: int
    question: Question
    resume: Sequence[int]


def pack_together(messages: Iterable[bytes]) -> bytes:
    """Messages of the driver to an engine as one, which is a list in JSON."""
    return b"[" + b",".join(messages) + b"]"


def pack_start(start: Start) -> bytes:
    """A message."""
    q = start.question
    return json.dumps([start.ticket, q.key.hex(), q.custom_id, q.url, q.body, list(start.resume)]).encode()


def pack_withdrawal(ticket: int) -> bytes:
    """A message: no more is to come of an answer."""
    return json.dumps([ticket]).encode()


def order_of(message: list[Any]) -> Start | int:
    """The Start that pack_start was given, or the ticket that pack_withdrawal was."""
    ticket, *values = message
    if not values:
        return ticket
    key, custom_id, url, body, resume = values
    return Start(ticket, Question(bytes.fromhex(key), custom_id, url, body), resume)


def pack_events(events: Iterable[tuple[int, Event]]) -> bytes:
    """Events, each with its answer's ticket."""
    told = [[ticket, type(event).__name__, *_values(event)] for ticket, event in events]
    return json.dumps({"events": told}).encode()


def pack_lost(why: str) -> bytes:
    """Instead of events: the engine is dead."""
    return json.dumps({"lost": why}).encode()


def unpack_events(data: bytes, keys: Mapping[int, bytes]) -> list[Event]:
    """What pack_events made. keys: of answers, by their tickets; events of others are left out. Lost: what pack_lost
    made, or what nobody here makes."""
    try:
        told = json.loads(data)
        if "lost" in told:
            raise Lost(str(told["lost"]))
        return [_event(keys[ticket], name, values) for ticket, name, *values in told["events"] if ticket in keys]
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        raise Lost(f"It sends what no engine says ({type(e).__name__}: {e}).") from e


def pack(value: Any) -> bytes:
    """What a host says of itself: the fields of a NamedTuple, or None for nothing."""
    return json.dumps({} if value is None else value._asdict()).encode()


def pack_refusal(why: str) -> bytes:
    """Why it says nothing else."""
    return json.dumps({"refused": why}).encode()


def unpack_facts(data: bytes) -> Facts:
    """Refused: there are none, for the reason that it says."""
    fields = unpack(data)
    return Facts(*(str(fields[name]) for name in Facts._fields))


def unpack_loaded(data: bytes) -> Loaded:
    """Refused: it cannot load the model."""
    fields = unpack(data)
    identity = {str(name): str(value) for name, value in fields["identity"].items()}
    return Loaded(int(fields["port"]), identity, [str(notice) for notice in fields["notices"]])


def unpack(data: bytes) -> dict[str, Any]:
    """The fields that `pack` had. Refused: there are none, for the reason that it says."""
    fields = json.loads(data)
    if "refused" in fields:
        raise Refused(str(fields["refused"]))
    return fields


def _values(event: Event) -> list[Any]:
    match event:
        case Grown(_, ids, resumable):
            return [list(ids), resumable]
        case Answered(_, body, tokens):
            return [body, [tokens.prompt, tokens.cached, tokens.completion]]
        case Failed(_, why):
            return [[why.message, why.code, why.param, why.status]]


def _event(key: bytes, name: str, values: list[Any]) -> Event:
    """ValueError, TypeError: no event is so."""
    match name, values:
        case "Grown", [list(ids), bool(resumable)]:
            if not all(type(token_id) is int for token_id in ids):
                raise ValueError("an id is no number")
            return Grown(key, ids, resumable)
        case "Answered", [dict(body), [int(prompt), int(cached), int(completion)]]:
            return Answered(key, body, Tokens(prompt, cached, completion))
        case "Failed", [[str(message), code, param, int(status)]]:
            return Failed(key, Failure(message, code, param, status))
    raise ValueError(f"no event is {name!r} with {len(values)} values")
