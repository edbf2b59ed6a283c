"""Reasoning that clients drop: K2 needs it in the later steps of a tool loop, and many clients do not send it back."""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from ..config.parameters import REASONING_KEYS


class ReasoningMemory:
    """The reasoning before tool calls, found by the calls and the conversation before them. Bounded; the reasoning
    whose last use is oldest goes first.

    A name would not do: each conversation calls the same tools. So the key covers the calls with their arguments, and
    the conversation since its last user message, which is what one tool loop repeats. Ids are not in it: clients give
    calls other ones. Use it from any thread.
    """

    def __init__(self, max_bytes: int = 64 * 2**20):
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._texts: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._texts)

    def remember(self, messages: list[Mapping], tool_calls: Iterable[Mapping], reasoning: str | None) -> None:
        """Keeps the reasoning of the turn that followed messages and ended in tool_calls."""
        calls = list(tool_calls)
        if not calls or not reasoning:
            return
        start = next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "user"), 0)
        story = _Story()
        for message in messages[start:]:
            story.add(message)
        key = story.key(calls)
        with self._lock:
            self._num_bytes += len(reasoning) - len(self._texts.pop(key, ""))
            self._texts[key] = reasoning
            while self._num_bytes > self._max_bytes:
                self._num_bytes -= len(self._texts.popitem(last=False)[1])

    def restored(self, messages: list[Mapping]) -> list[Mapping]:
        """Messages in which the assistant's tool calls have their reasoning again, where it is known and missing."""
        if not self._texts:
            return list(messages)
        result, story = [], _Story()
        for message in messages:
            known = isinstance(message, Mapping)
            if known and _is_bare(message) and (calls := _calls_of(message)):
                reasoning = self._recall(story.key(calls))
                result.append(message if reasoning is None else {**message, "reasoning_content": reasoning})
            else:
                result.append(message)
            if known:
                story.add(message)
        return result

    def _recall(self, key: bytes) -> str | None:
        with self._lock:
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)


class _Story:
    """A conversation since its last user message, as a digest that grows with each message."""

    def __init__(self):
        self._digest = hashlib.sha256()

    def add(self, message: Mapping) -> None:
        """Takes the next message."""
        if message.get("role") == "user":
            self._digest = hashlib.sha256()
        fields = [message.get("role"), _text(message.get("content")), _functions(_calls_of(message))]
        self._digest.update(_line(fields))

    def key(self, calls: list) -> bytes:
        """The key of calls that follow the conversation."""
        digest = self._digest.copy()
        digest.update(_line(_functions(calls)))
        return digest.digest()


def _is_bare(message: Mapping) -> bool:
    """Whether an assistant's message came without reasoning."""
    return message.get("role") == "assistant" and not any(message.get(name) for name in REASONING_KEYS)


def _calls_of(message: Mapping) -> list:
    """The calls of a message, in OpenAI's present or older form."""
    calls, old = message.get("tool_calls"), message.get("function_call")
    return calls if isinstance(calls, list) else [{"function": old}] if old else []


def _functions(calls: list) -> list:
    """The names and arguments of calls, in one form."""
    functions = [call.get("function") if isinstance(call, Mapping) else None for call in calls]
    functions = [function if isinstance(function, Mapping) else {} for function in functions]
    return [[function.get("name"), _arguments(function.get("arguments"))] for function in functions]


def _arguments(arguments: object) -> object:
    """Arguments as values: clients parse them and write them again with other spaces, and 1.0 as 1."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    try:
        return json.loads(text or "{}", parse_float=_number)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _text(content: object) -> str:
    """The text of a content, be it one string or parts, without the spaces at its ends, which some clients drop."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text", "")) if isinstance(part, Mapping) else str(part) for part in content).strip()


def _line(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode() + b"\n"
