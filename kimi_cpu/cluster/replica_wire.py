"""Requests of ids, and what comes of them, as bytes: JSON that is made and checked here."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from ..batch.model import Lost
from ..engine import EngineState, Kind, Request, Sampling, StepOutput, TokenLogprob
from ..errors import AnswerError, KimiError, ModelFileError, NonFiniteLogits, OutOfMemory
from ..llm.reading import ChatGuide
from ..llm.steering import ChatSteering, Wishes
from ..llm.vocabulary import Vocabulary
from ..residency import ExpertsState, Figures

ERRORS = {kind.__name__: kind for kind in (AnswerError, ModelFileError, NonFiniteLogits, OutOfMemory)}


class Say(StrEnum):
    """The kinds of messages to an engine, each the first value of one. A ticket follows; of START all of an Order."""

    START = "start"
    ABORT = "abort"
    END_THINKING = "end_thinking"


class Order(NamedTuple):
    """A request on its way. ticket: by which its outputs are told from those of others. parent: the ticket of the one
    whose pages it takes."""

    ticket: int
    parent: int | None
    fields: dict[str, Any]

    @property
    def is_slow(self) -> bool:
        """Whether its guide may take long to be made: it has schemas."""
        wishes = self.fields["wishes"]
        return wishes is not None and bool(wishes["tools"] or wishes["response_format"])

    def request(self, vocabulary: Vocabulary, parent: Request | None) -> Request:
        """The request, with a guide that has seen all ids of its answer so far. Raises what guides do."""
        f = self.fields
        steering = None if f["wishes"] is None else ChatSteering(Wishes(**f["wishes"]), vocabulary)
        made = Request(
            np.frombuffer(b64decode(f["prompt_ids"]), "<i4"),
            Sampling(**f["sampling"]),
            f["max_tokens"],
            kind=Kind[f["kind"]],
            stop_ids=frozenset(f["stop_ids"]),
            guide=None if steering is None else steering.guide(f["max_tokens"]),
            steering=steering,
            forms=np.frombuffer(b64decode(f["forms"]), np.uint8),
            parent=parent,
        )
        made.resume(f["output_ids"])
        return made


class Output(NamedTuple):
    """A StepOutput on its way back, with what its request says besides. warnings: the guide's, when it has ended.
    error: the request failed, and the rest says nothing."""

    ticket: int
    token_id: int | None = None
    finish_reason: str | None = None
    logprob: TokenLogprob | None = None
    num_computed: int = 0
    num_cached: int = 0
    num_steps: int = 0
    stop_reason: str | None = None
    warnings: tuple[str, ...] = ()
    error: KimiError | None = None


class Told(NamedTuple):
    """Outputs, and how the engine is. experts: None when all are in memory."""

    outputs: list[Output]
    state: EngineState
    experts: ExpertsState | None


def pack_request(ticket: int, request: Request, parent: int | None) -> bytes:
    """A request, and all ids that are known of its answer. parent: see Order."""
    steering, prompt = request.steering, request.tokens(0, request.num_prompt_tokens)
    assert steering is None or isinstance(steering, ChatSteering), "llm/ makes no other"
    assert request.kind is not Kind.LOGITS, "logits do not cross"
    fields = {
        "prompt_ids": _text(prompt.ids.astype("<i4")),
        "forms": _text(prompt.forms),
        "sampling": asdict(replace(request.sampling, seed=request.seed, stop=())),
        "max_tokens": request.max_tokens,
        "kind": request.kind.name,
        "stop_ids": sorted(request.stop_ids),
        "wishes": None if steering is None else steering.wishes.as_dict(),
        "output_ids": request.output_ids,
    }
    return json.dumps([Say.START, ticket, parent, fields]).encode()


def pack_abort(ticket: int) -> bytes:
    """The request is to end."""
    return json.dumps([Say.ABORT, ticket]).encode()


def pack_end_thinking(ticket: int) -> bytes:
    """The thinking of its answer is to end."""
    return json.dumps([Say.END_THINKING, ticket]).encode()


def output_of(ticket: int, item: StepOutput | BaseException) -> Output:
    """What an outbox got."""
    if isinstance(item, BaseException):
        error = item if isinstance(item, KimiError) else AnswerError.of(item)
        return Output(ticket, error=error)
    request, has_ended = item.request, item.finish_reason is not None
    warnings = request.guide.warnings if has_ended and isinstance(request.guide, ChatGuide) else ()
    return Output(
        ticket,
        item.token_id,
        item.finish_reason,
        item.logprob,
        item.num_computed,
        request.num_cached,
        request.num_steps,
        request.stop_reason,
        warnings,
    )


def pack_outputs(outputs: Sequence[Output], state: EngineState, experts: ExpertsState | None) -> bytes:
    """What an engine says, again and again."""
    return json.dumps({"outputs": [_values(output) for output in outputs], "state": state, "experts": experts}).encode()


def unpack_outputs(data: bytes) -> Told:
    """What pack_outputs made. Lost: what wire.pack_lost made, or what nobody here makes."""
    try:
        told = json.loads(data)
        if "lost" in told:
            raise Lost(str(told["lost"]))
        state = EngineState(*_numbers(told["state"], 4))
        experts = None if told["experts"] is None else experts_of(told["experts"])
        return Told([_output(values) for values in told["outputs"]], state, experts)
    except (ValueError, TypeError, LookupError, RecursionError) as e:
        raise Lost(f"It sends what no engine says ({type(e).__name__}: {e}).") from e


def experts_of(values: list[Any]) -> ExpertsState:
    """The numbers of an engine as they come in JSON. ValueError, TypeError, LookupError: they are none."""
    slots, experts, uses, hits, bytes_read = _numbers(values[:5], 5)
    recent = None if values[5] is None else Figures(*map(float, values[5]))
    return ExpertsState(slots, experts, uses, hits, bytes_read, recent)


def _text(array: np.ndarray) -> str:
    return b64encode(array.tobytes()).decode()


def _values(output: Output) -> list[Any]:
    if output.error is not None:
        return [output.ticket, type(output.error).__name__, str(output.error)]
    logprob = None if output.logprob is None else output.logprob[:3]
    return [*output._replace(logprob=None)[:-1], logprob]


def _output(values: list[Any]) -> Output:
    """ValueError, TypeError: no output is so."""
    match values:
        case [int(ticket), str(kind), str(message)]:
            return Output(ticket, error=ERRORS.get(kind, AnswerError)(message))
        case [
            int(ticket),
            int() | None as token_id,
            str() | None as finish_reason,
            None,
            int(computed),
            int(cached),
            int(steps),
            str() | None as stop_reason,
            list(warnings),
            logprob,
        ]:
            told = tuple(str(warning) for warning in warnings)
            return Output(
                ticket, token_id, finish_reason, _logprob(logprob), computed, cached, steps, stop_reason, told
            )
    raise ValueError(f"no output has these {len(values)} values")


def _logprob(values: list[Any] | None) -> TokenLogprob | None:
    if values is None:
        return None
    token_id, logprob, top = values
    return TokenLogprob(int(token_id), float(logprob), tuple((int(i), float(value)) for i, value in top))


def _numbers(values: list[Any], count: int) -> list[int]:
    if len(values) != count or not all(type(value) is int for value in values):
        raise ValueError(f"{count} numbers are wanted")
    return values
