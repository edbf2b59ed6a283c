"""What a caller gets back: immutable values under OpenAI's names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Timings:
    """Seconds of one request: until the first token, and from there to the last."""

    prefill_s: float
    decode_s: float


@dataclass(frozen=True)
class Completion:
    """The answer to a raw prompt. finish_reason: "stop" (the model ended, or a stop text came) or "length"."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    usage: Usage
    timings: Timings


@dataclass(frozen=True)
class Piece:
    """A piece of an answer as it comes. The last one carries finish_reason, usage and timings."""

    content: str = ""
    reasoning_content: str = ""
    tool_calls: tuple[dict, ...] = ()
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
