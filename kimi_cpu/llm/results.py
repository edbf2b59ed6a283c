"""Answers, whole and in pieces: immutable values under OpenAI's names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..chat.parser import Delta, join
from ..engine import TokenLogprob

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens of one request. cached_tokens: those of the prompt that were computed before; reasoning_tokens: those of
    the answer inside <think>."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def total_usage(usages: Sequence[Usage], n: int) -> Usage:
    """Of n answers to each prompt, prompt by prompt: each prompt counts once, with what was cached for its first."""
    firsts = usages[::n]
    return Usage(
        sum(u.prompt_tokens for u in firsts),
        sum(u.completion_tokens for u in usages),
        sum(u.cached_tokens for u in firsts),
        sum(u.reasoning_tokens for u in usages),
    )


@dataclass(frozen=True)
class Timings:
    """Seconds of one request: until the first token, and from there to the last. decode_steps: forward passes in the
    latter; fewer than tokens where drafts came true."""

    prefill_s: float
    decode_s: float
    decode_steps: int = 0


@dataclass(frozen=True)
class Trajectory:
    """One of the answers that heavy mode begins. state: "running"; "answered", "calls" (it calls tools) or "cut off";
    "failed"; "cancelled"; "not needed", as the vote was decided without it. answer: its final answer, which is its
    vote, where it gives one. tokens, seconds: so far."""

    state: str
    answer: str | None
    tokens: int
    seconds: float


@dataclass(frozen=True)
class HeavyReport:
    """How heavy mode came to its answer. votes: answers and how many gave each, the most frequent first. by:
    "aggregation"; "majority", where the answer is that of the first trajectory that gave the most frequent one; "none",
    where none could be had, and the answer is what there is. aggregation: the tokens of reflecting on the outcomes,
    None where it was not begun. The seconds: until the vote, and from there on."""

    trajectories: tuple[Trajectory, ...]
    votes: tuple[tuple[str, int], ...]
    by: str
    aggregation: Usage | None
    trajectories_s: float
    aggregation_s: float


@dataclass(frozen=True)
class Completion:
    """The answer to a raw prompt. finish_reason: "stop" (the model ended, a stop text came, or stop_reason says what
    else), "length" or "cancelled". stop_reason: "repetition" where the answer ran in a circle, otherwise None."""

    text: str
    token_ids: tuple[int, ...] = field(repr=False)
    finish_reason: str
    usage: Usage
    timings: Timings = field(repr=False)
    logprobs: tuple[TokenLogprob, ...] = field(default=(), repr=False)
    stop_text: str | None = None
    stop_reason: str | None = None


@dataclass(frozen=True)
class ChatCompletion:
    """An assistant's turn. reasoning_content and content are None where there is no text; tool_calls have OpenAI's
    shape; finish_reason is "stop", "tool_calls", "length" or "cancelled"; warnings say what could not be
    read as intended; logprobs are of the tokens that content is made of; stop_text is the stop text that ended it, if
    one did; stop_reason is "repetition" where it was ended because it ran in a circle, otherwise None; heavy is the
    report of heavy mode, None elsewhere. Of heavy mode, usage has all tokens, and reasoning_content is that of the
    aggregation."""

    content: str | None
    reasoning_content: str | None
    tool_calls: tuple[JsonObject, ...]
    finish_reason: str
    usage: Usage
    timings: Timings = field(repr=False)
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = field(default=(), repr=False)
    stop_text: str | None = None
    stop_reason: str | None = None
    heavy: HeavyReport | None = field(default=None, repr=False)

    def message(self) -> JsonObject:
        """The turn as a message of the conversation's next request."""
        message: JsonObject = {"role": "assistant", "content": self.content}
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        if self.tool_calls:
            message["tool_calls"] = list(self.tool_calls)
        return message


Answer = TypeVar("Answer", Completion, ChatCompletion)  # to a raw prompt, to a chat


@dataclass(frozen=True)
class Piece:
    """A piece of an answer as it comes. tool_calls are OpenAI's deltas. The last piece carries finish_reason, usage,
    timings, warnings, and the stop text or the stop reason that ended it, if one did. logprobs: of the tokens that
    content is made of, where the request asked for them. prompt_progress: (tokens computed, tokens of the prompt) in
    the pieces without a token that a long prompt sends while it is read. prompt_tokens: those of the prompt;
    prompt_cached: those of them that had been computed before. trajectories: how far each is, in the pieces without a
    token that heavy mode sends; its report, heavy, is in the last piece."""

    content: str = ""
    reasoning_content: str = ""
    tool_calls: tuple[JsonObject, ...] = ()
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    warnings: tuple[str, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_progress: tuple[int, int] | None = None
    prompt_tokens: int = 0
    prompt_cached: int = 0
    stop_text: str | None = None
    stop_reason: str | None = None
    trajectories: tuple[Trajectory, ...] = ()
    heavy: HeavyReport | None = None


def completion(pieces: Sequence[Piece]) -> Completion:
    """The answer to a raw prompt that its pieces, from the first to the last, add up to."""
    last = pieces[-1]
    assert last.finish_reason and last.usage and last.timings
    return Completion(
        text="".join(p.content for p in pieces),
        token_ids=tuple(i for p in pieces for i in p.token_ids),
        finish_reason=last.finish_reason,
        usage=last.usage,
        timings=last.timings,
        logprobs=tuple(x for p in pieces for x in p.logprobs),
        stop_text=last.stop_text,
        stop_reason=last.stop_reason,
    )


def chat_completion(pieces: Sequence[Piece]) -> ChatCompletion:
    """The assistant's turn that its pieces, from the first to the last, add up to."""
    last = pieces[-1]
    assert last.usage and last.timings
    message = join(Delta(p.content, p.reasoning_content, p.tool_calls, p.finish_reason, p.warnings) for p in pieces)
    return ChatCompletion(
        content=message.content,
        reasoning_content=message.reasoning_content,
        tool_calls=message.tool_calls,
        finish_reason=message.finish_reason,
        usage=last.usage,
        timings=last.timings,
        token_ids=tuple(i for p in pieces for i in p.token_ids),
        warnings=message.warnings,
        logprobs=tuple(x for p in pieces for x in p.logprobs),
        stop_text=last.stop_text,
        stop_reason=last.stop_reason,
        heavy=last.heavy,
    )
