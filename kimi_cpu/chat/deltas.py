"""What the parser says: pieces of an assistant's turn in OpenAI's shape, and the turn that they add up to."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Delta:
    """What one id added. tool_calls: `{"index", "id", "type", "function": {"name", "arguments"}}` where a call begins,
    `{"index", "function": {"arguments"}}` where its arguments go on. The last delta of a turn carries finish_reason
    ("stop", "tool_calls", "length", or whatever else ended the generation) and the warnings."""

    content: str = ""
    reasoning_content: str = ""
    tool_calls: tuple[dict, ...] = ()
    finish_reason: str | None = None
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return self != _NOTHING


_NOTHING = Delta()


@dataclass(frozen=True)
class Message:
    """An assistant's turn. reasoning_content and content are None where there is no text; the arguments of a call are
    the text that the model wrote, valid JSON or not. warnings: sentences on what could not be read as intended."""

    reasoning_content: str | None
    content: str | None
    tool_calls: tuple[dict, ...]
    finish_reason: str
    warnings: tuple[str, ...] = ()


def join(deltas: Iterable[Delta]) -> Message:
    """The turn that the deltas of one parser, from the first to the last, add up to."""
    content, reasoning, calls, reason, warnings = [], [], [], "stop", ()
    for delta in deltas:
        content.append(delta.content)
        reasoning.append(delta.reasoning_content)
        for call in delta.tool_calls:
            _add_call(calls, call)
        reason = delta.finish_reason or reason
        warnings += delta.warnings
    return Message("".join(reasoning) or None, "".join(content) or None, tuple(calls), reason, warnings)


def _add_call(calls: list[dict], delta: dict) -> None:
    """Begins a call, or lengthens the arguments of the one at the delta's index."""
    if "id" in delta:
        calls.append({"id": delta["id"], "type": delta["type"], "function": dict(delta["function"])})
    else:
        calls[delta["index"]]["function"]["arguments"] += delta["function"]["arguments"]
