"""Reasoning that clients drop: K2 needs it again in the steps of a tool loop, and many clients do not send it back."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping


class ReasoningMemory:
    """The reasoning before tool calls, by the calls' ids and what led to them. Bounded; the oldest use goes first.

    An id alone would not do: functions.NAME:0 is the first call of every conversation. So the key covers the calls with
    their arguments and the conversation since its last user message, which is what one tool loop repeats.
    """

    def __init__(self, max_bytes: int = 64 * 2**20):
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._texts: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def remember(self, messages: list[Mapping], tool_calls: Iterable[Mapping], reasoning: str | None) -> None:
        """The reasoning of the turn that followed messages and ended in tool_calls."""
        calls = list(tool_calls)
        if not calls or not reasoning:
            return
        key = _key(messages, calls)
        self._num_bytes += len(reasoning) - len(self._texts.pop(key, ""))
        self._texts[key] = reasoning
        while self._num_bytes > self._max_bytes:
            self._num_bytes -= len(self._texts.popitem(last=False)[1])

    def restored(self, messages: list[Mapping]) -> list[Mapping]:
        """Messages in which the assistant's tool calls have their reasoning again, where it is known and missing."""
        result = []
        for at, message in enumerate(messages):
            calls = message.get("tool_calls") if isinstance(message, Mapping) else None
            if message_is_bare(message) and isinstance(calls, list) and calls and self._texts:
                key = _key(messages[:at], calls)
                if key in self._texts:
                    self._texts.move_to_end(key)
                    message = {**message, "reasoning_content": self._texts[key]}
            result.append(message)
        return result


def message_is_bare(message: Mapping) -> bool:
    """Whether an assistant's message came without reasoning."""
    if not isinstance(message, Mapping) or message.get("role") != "assistant":
        return False
    return not message.get("reasoning_content") and not message.get("reasoning")


def _key(messages: list[Mapping], calls: list[Mapping]) -> bytes:
    """Of calls, and of the messages before them back to the last of the user."""
    start = next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "user"), 0)
    story = [[m.get("role"), _text(m.get("content")), _calls(m.get("tool_calls"))] for m in messages[start:]]
    return hashlib.sha256(json.dumps([story, _calls(calls)], sort_keys=True).encode()).digest()


def _calls(calls: object) -> list:
    if not isinstance(calls, list):
        return []
    return [_call(call) if isinstance(call, Mapping) else None for call in calls]


def _call(call: Mapping) -> list:
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    return [call.get("id"), function.get("name"), _arguments(function.get("arguments"))]


def _arguments(arguments: object) -> object:
    """Arguments as values: clients parse them and write them again with other spaces."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _text(content: object) -> str:
    """The text of a content, whether it is one string or parts. Spaces at its ends get lost on the way."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text", "")) if isinstance(part, Mapping) else str(part) for part in content).strip()
