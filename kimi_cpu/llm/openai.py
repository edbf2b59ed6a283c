"""Requests and answers as OpenAI's objects: plain dicts, as JSON has them."""

import codecs
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import NamedTuple

from ..config.field import Door
from ..config.parameters import chat_keywords, completion_keywords, read
from ..engine import TokenLogprob
from ..errors import RequestError
from .results import ChatCompletion, Completion, HeavyReport, JsonObject, Piece, Trajectory, Usage

TokenBytes = Callable[[int], bytes]
OURS = ("session", "progress", "resume")  # keywords of LLM.chat and LLM.stream that are no fields of a request


class Asked(NamedTuple):
    """A request: keywords of LLM's methods, and how the answer is told. include_usage: at the end of a stream."""

    keywords: JsonObject
    stream: bool
    include_usage: bool


def chat_call(messages: object, max_tokens: int | None, fields: JsonObject) -> Asked:
    """A request for a chat.completion; see LLM.create_chat_completion. RequestError."""
    limit = None if max_tokens is None else _limit(max_tokens)
    given = _read({"messages": messages, "max_tokens": limit, **fields}, Door.CHAT)
    include_usage = given.get("stream_options", {}).get("include_usage", False)
    return Asked(chat_keywords(given), given.get("stream", False), include_usage)


def completion_call(max_tokens: int | None, fields: JsonObject) -> Asked:
    """A request for a text_completion; see LLM.create_completion. RequestError."""
    given = _read({"max_tokens": -1 if max_tokens is None else _limit(max_tokens), **fields}, Door.COMPLETIONS)
    return Asked(completion_keywords(given), given.get("stream", False), False)


def _read(fields: JsonObject, door: Door) -> JsonObject:
    """RequestError: what only a server can tell is asked for."""
    given = read(fields, door, others=OURS)
    for name, default in (("n", 1), ("return_progress", False)):
        if given.get(name, default) != default:
            raise RequestError(f"{name} is {given[name]}; in Python, LLM.samples and LLM.stream have it.", name)
    return given


def _limit(max_tokens: int) -> int:
    """-1 is no limit."""
    return -1 if isinstance(max_tokens, int) and max_tokens < 1 else max_tokens  # pyright: ignore[reportUnnecessaryIsInstance]


def head(kind: str, model: str) -> JsonObject:
    """The fields that every object begins with. kind: "chat.completion", "text_completion", or one of their chunks."""
    prefix = "chatcmpl-" if kind.startswith("chat") else "cmpl-"
    return {"id": prefix + uuid.uuid4().hex, "object": kind, "created": int(time.time()), "model": model}


def usage_object(usage: Usage) -> JsonObject:
    """OpenAI's usage."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def chat_object(turn: ChatCompletion, model: str, token_bytes: TokenBytes) -> JsonObject:
    """A chat.completion."""
    choice = {
        "index": 0,
        "message": turn.message(),
        "logprobs": chat_logprobs(turn.logprobs, token_bytes),
        **ending(turn),
    }
    told = head("chat.completion", model) | {"choices": [choice], "usage": usage_object(turn.usage)}
    return told | heavy_object(turn.heavy)


def chat_chunks(
    pieces: Iterable[Piece], model: str, token_bytes: TokenBytes, include_usage: bool
) -> Iterator[JsonObject]:
    """The chat.completion.chunks of a stream; the prompt's progress has none."""
    start = head("chat.completion.chunk", model)

    def chunk(delta: JsonObject, logprobs: Sequence[TokenLogprob] = (), last: Piece | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": chat_logprobs(logprobs, token_bytes), **ending(last)}
        return start | {"choices": [choice]} | ({"usage": None} if include_usage else {})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces:
        for delta in deltas(piece):
            yield chunk(delta, piece.logprobs if "content" in delta else ())
        if piece.finish_reason is not None:
            yield chunk({}, (), piece) | heavy_object(piece.heavy)
            if include_usage and piece.usage is not None:
                yield start | {"choices": [], "usage": usage_object(piece.usage)}


def heavy_object(report: HeavyReport | None) -> JsonObject:
    """The report of heavy mode as a field of an object; nothing elsewhere."""
    if report is None:
        return {}
    told = trajectories_object(report.trajectories) | {
        "votes": [{"answer": answer, "votes": count} for answer, count in report.votes],
        "by": report.by,
        "aggregation": None if report.aggregation is None else usage_object(report.aggregation),
        "trajectories_seconds": round(report.trajectories_s, 3),
        "aggregation_seconds": round(report.aggregation_s, 3),
    }
    return {"heavy": told}


def trajectories_object(trajectories: Iterable[Trajectory]) -> JsonObject:
    """How far the trajectories of heavy mode are."""
    return {"trajectories": [asdict(t) | {"seconds": round(t.seconds, 3)} for t in trajectories]}


def ending(answer: ChatCompletion | Completion | Piece | None) -> JsonObject:
    """A choice's finish_reason, and beside it vLLM's stop_reason where there is one."""
    if answer is None or answer.stop_reason is None:
        return {"finish_reason": None if answer is None else answer.finish_reason}
    return {"finish_reason": answer.finish_reason, "stop_reason": answer.stop_reason}


def deltas(piece: Piece) -> list[JsonObject]:
    """OpenAI's deltas of a piece, reasoning first, one thing each."""
    found = [{"reasoning_content": piece.reasoning_content}] if piece.reasoning_content else []
    found += [{"content": piece.content}] if piece.content else []
    return found + [{"tool_calls": [call]} for call in piece.tool_calls]


def completion_object(answer: Completion, model: str, token_bytes: TokenBytes, echo: str = "") -> JsonObject:
    """A text_completion. echo: text to repeat before the answer."""
    choice = {
        "index": 0,
        "text": echo + answer.text,
        "logprobs": completion_logprobs(answer.logprobs, token_bytes, len(echo)),
        **ending(answer),
    }
    return head("text_completion", model) | {"choices": [choice], "usage": usage_object(answer.usage)}


def completion_chunks(
    pieces: Iterable[Piece], model: str, token_bytes: TokenBytes, echo: str = ""
) -> Iterator[JsonObject]:
    """The text_completions of a stream."""
    start, offset = head("text_completion", model), len(echo)

    def chunk(text: str, told: JsonObject | None = None, last: Piece | None = None) -> JsonObject:
        return start | {"choices": [{"index": 0, "text": text, "logprobs": told, **ending(last)}]}

    if echo:
        yield chunk(echo)
    for piece in pieces:
        told = completion_logprobs(piece.logprobs, token_bytes, offset)
        offset += sum(map(len, told["tokens"])) if told else 0
        if piece.content or told or piece.finish_reason:
            yield chunk(piece.content, told, piece)


def chat_logprobs(logprobs: Sequence[TokenLogprob], token_bytes: TokenBytes) -> JsonObject | None:
    """Log-probabilities as chat completions have them; None when there are none."""
    if not logprobs:
        return None

    def entry(text: str, raw: bytes, logprob: float) -> JsonObject:
        return {"token": text, "logprob": logprob, "bytes": list(raw)}

    content: list[JsonObject] = []
    for x, (text, raw) in zip(logprobs, token_texts(logprobs, token_bytes), strict=True):
        top = [entry(_text(token_bytes(i)), token_bytes(i), value) for i, value in x.top]
        content.append(entry(text, raw, x.logprob) | {"top_logprobs": top})
    return {"content": content, "refusal": None}


def completion_logprobs(logprobs: Sequence[TokenLogprob], token_bytes: TokenBytes, offset: int) -> JsonObject | None:
    """Log-probabilities as completions have them. offset: where in the text the first token begins."""
    if not logprobs:
        return None
    tokens = [text for text, _ in token_texts(logprobs, token_bytes)]
    offsets = list(accumulate(map(len, tokens), initial=offset))
    return {
        "tokens": tokens,
        "token_logprobs": [x.logprob for x in logprobs],
        "top_logprobs": [{_text(token_bytes(i)): value for i, value in x.top} for x in logprobs],
        "text_offset": offsets[:-1],
    }


def token_texts(logprobs: Sequence[TokenLogprob], token_bytes: TokenBytes) -> list[tuple[str, bytes]]:
    """The characters that each token completes, which together are the text, and its bytes as far as they are shown."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    raws = [token_bytes(x.token_id) if x.shown is None else x.shown for x in logprobs]
    return [(decoder.decode(raw, final=i == len(raws)), raw) for i, raw in enumerate(raws, start=1)]


def _text(raw: bytes) -> str:
    """A token's text; half a character is shown as one that stands for it."""
    return raw.decode("utf-8", errors="replace")
