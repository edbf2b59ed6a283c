"""Brings the conversation that a client sends to the one form that the template renders correctly.

Left alone, Kimi's template prints `None` for a null reasoning and nothing for a missing tool call id, and the model
ends its turn silently when ids in the history are not `functions.NAME:IDX` with one running index.
"""

import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from ..config.field import refuse_unknown
from ..config.parameters import REASONING_KEYS, letters
from ..errors import RequestError, shown
from ..tokenizer import without_surrogates

ROLES = ("system", "developer", "user", "assistant", "tool", "function")  # function is an older name of tool
KEYS = frozenset({"role", "content", "name", "cache_control"})  # of every message
ROLE_KEYS = {
    "assistant": KEYS
    | {"tool_calls", "function_call", "refusal", "partial", "prefix", *REASONING_KEYS}
    | {"annotations", "parsed", "provider_specific_fields"},  # of clients' objects; they say nothing to the model
    "tool": KEYS | {"tool_call_id"},
}
ANY_KEY = frozenset().union(*ROLE_KEYS.values())
PART_KEYS = frozenset({"type", "text", "refusal", "annotations", "cache_control", "id", "index"})
CALL_KEYS = frozenset({"id", "type", "function", "index", "cache_control", "extra_content", "provider_specific_fields"})
FUNCTION_KEYS = frozenset({"name", "arguments", "parsed_arguments"})
MAX_DEPTH = 256  # of lists and objects; Python's own limit is 1,000 calls, and what walks a value takes two a level
MAPPING = (dict, Mapping)  # a dict is found at once, which tells in a chat of hundreds of messages


def normalise_messages(
    messages: Iterable[Mapping[str, Any]], mend: bool = True, num_calls: int = 0
) -> list[dict[str, Any]]:
    """Messages with only the keys role, content (a string), and, where they apply, name, reasoning_content (a string),
    tool_calls (not empty) and tool_call_id; calls and results in OpenAI's older form become such. Arguments of calls
    stay strings or objects as they came. mend: parts that the template would print wrongly are put right (a null
    reasoning, a missing id) or refused (an image, a result of no call, an unknown key); otherwise they go to the
    template as they came. num_calls: calls of messages that stand before these, none of which is answered here.
    RequestError names the message and the field that is wrong."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
        raise RequestError("messages is not a list of messages.")
    ids = _CallIds(mend, num_calls)
    return [_message(message, f"messages[{i}]", ids) for i, message in enumerate(messages)]


def normalise_tools(tools: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Tools with the keys of every object sorted, and without hints for caches; None when there are none. RequestError:
    a tool without a name, a name twice, or something that is not JSON."""
    if tools is None:
        return None
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise RequestError("tools is not a list of tools.")
    names: set[str] = set()
    result = []
    for i, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        name = function.get("name") if isinstance(function, MAPPING) else None
        if not isinstance(name, str) or not name:
            raise RequestError(f"tools[{i}].function.name is missing or no string.")
        if name in names:
            message = f"tools[{i}].function.name {shown(name)} is declared twice."
            raise RequestError(message, f"tools[{i}].function.name")
        names.add(name)
        plain = _json(tool, f"tools[{i}]")
        for holder in (plain, plain["function"]):
            holder.pop("cache_control", None)
        result.append(_sorted(plain))
    return result or None


def well_formed(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value as UTF-8 and JSON can hold it: with U+FFFD for each half of a surrogate pair that stands alone, in all
    texts and names of lists and dicts in it. RequestError: it is nested deeper than `depth`."""
    if isinstance(value, str):
        return without_surrogates(value)
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise RequestError(f"A value is nested more than {MAX_DEPTH} deep; make it flatter.")
    if isinstance(value, list):
        return [well_formed(item, depth - 1) for item in cast("list[Any]", value)]
    return {well_formed(name): well_formed(item, depth - 1) for name, item in cast("dict[Any, Any]", value).items()}


class _CallIds:
    """Gives the calls of a conversation new ids, and finds the one that a client's id means at this point of it."""

    def __init__(self, mend: bool, num_calls: int):
        self.mend = mend
        self._count = self._first = num_calls
        self._by_old: dict[str, deque[str]] = {}  # the client's id -> our ids, those not yet answered first
        self._by_letters: dict[
            str, deque[str]
        ] = {}  # the same by the letters of the client's id, as some clients replace marks
        self._unanswered: OrderedDict[str, None] = OrderedDict()
        self._turn: dict[str, deque[str]] = {}  # the client's id -> our ids, of this turn
        self._waiting: dict[str, deque[str]] = {}  # function -> our ids of this turn, answered ones among them

    def begin_turn(self) -> None:
        """An assistant message with calls begins: results without an id answer its calls only."""
        self._turn, self._unanswered, self._waiting = {}, OrderedDict(), {}

    def add(self, name: str, old: str | None) -> dict[str, str]:
        """The new id of the next call, as its field. A client that uses an id again in a later turn means the later
        call."""
        new = f"functions.{name}:{self._count}"
        self._count += 1
        if old is None and not self.mend:
            return {}
        self._unanswered[new] = None
        self._waiting.setdefault(name, deque()).append(new)
        if old is not None:
            self._turn.setdefault(old, deque()).append(new)
            self._by_old[old] = self._by_letters[letters(old)] = self._turn[old]
        return {"id": new}

    def answer(self, old: str | None, where: str) -> dict[str, str]:
        """The id of the call that a tool message answers, as its field. RequestError: there is no such call."""
        if not self.mend and old not in self._by_old:
            return {} if old is None else {"tool_call_id": old}
        return {"tool_call_id": self._answered(old, where)}

    def answer_name(self, name: str | None, where: str) -> dict[str, str]:
        """As `answer`, for a result that names a function and no call: it answers the first call that waits."""
        waiting = deque[str]() if name is None else self._waiting.get(name, deque())
        while waiting and waiting[0] not in self._unanswered:
            waiting.popleft()
        if not waiting:
            if not self.mend:
                return {}
            raise RequestError(f"{where}.name is {shown(name)}, but no call of that function waits for a result.")
        new = waiting.popleft()
        del self._unanswered[new]
        return {"tool_call_id": new}

    def _answered(self, old: str | None, where: str) -> str:
        """Our id of the call that a client's id means; without one, of the first call that waits."""
        if old is None:
            if not self._unanswered:
                raise RequestError(f"{where}.tool_call_id is missing, and no call before it waits for a result.")
            return self._unanswered.popitem(last=False)[0]
        candidates = self._by_old.get(old)
        if candidates is None and not self._first:  # or it is exactly that of a call that stands before these
            candidates = self._by_letters.get(letters(old))
        if candidates is None:
            message = f"{where}.tool_call_id {shown(old)} is the id of no call before it."
            raise RequestError(message, f"{where}.tool_call_id")
        new = candidates.popleft() if len(candidates) > 1 else candidates[0]
        self._unanswered.pop(new, None)
        return new


def _message(message: Mapping[str, Any], where: str, ids: _CallIds) -> dict[str, Any]:
    """One message in normal form."""
    if not isinstance(message, MAPPING):
        raise RequestError(f"{where} is not an object with role and content.")
    role = message.get("role")
    if role not in ROLES:
        raise RequestError(f"{where}.role is {shown(role)} and not one of {', '.join(ROLES)}.")
    if role != "assistant" and "content" not in message:
        raise RequestError(f"{where}.content is missing.")
    known = ROLE_KEYS.get(role, KEYS)
    if ids.mend and not known.issuperset(message):
        empty = {key for key, value in message.items() if key in ANY_KEY and not value}  # of clients that send them all
        refuse_unknown(message, known | empty, where)
    result = {"role": role, "content": _content(message.get("content"), f"{where}.content", ids.mend)}
    if role == "function":
        return result | {"role": "tool"} | ids.answer_name(_text(message, "name", where), where)
    if name := _text(message, "name", where):
        result["name"] = name
    if role == "tool":
        result |= ids.answer(_text(message, "tool_call_id", where) or None, where)
    if role == "assistant":
        if refusal := _text(message, "refusal", where):
            result["content"] += refusal
        reasoning = _reasoning(message, where)
        if reasoning is not None:
            result["reasoning_content"] = reasoning
        elif not ids.mend and "reasoning_content" in message:
            result["reasoning_content"] = None
        if calls := _calls(message, where, ids):
            result["tool_calls"] = calls
    elif message.get("tool_calls"):
        raise RequestError(f"{where}.tool_calls is set, but only the assistant calls tools.")
    return result


def _reasoning(message: Mapping[str, Any], where: str) -> str | None:
    """The reasoning before an assistant's answer, under the first of its names that holds one."""
    for key in ("reasoning_content", "reasoning"):
        if message.get(key) is not None:
            return _text(message, key, where)
    for key, names in (("reasoning_details", ("text", "summary")), ("thinking_blocks", ("thinking",))):
        if details := message.get(key):
            if isinstance(details, str) or not isinstance(details, Sequence):
                raise RequestError(f"{where}.{key} is not a list.")
            texts = [item.get(name) for item in details if isinstance(item, Mapping) for name in names]
            return "".join(text for text in texts if isinstance(text, str))
    return None


def _calls(message: Mapping[str, Any], where: str, ids: _CallIds) -> list[dict[str, Any]]:
    """The calls of an assistant message, in OpenAI's present or older form."""
    calls, old = message.get("tool_calls"), message.get("function_call")
    if not old:
        return _tool_calls(calls, f"{where}.tool_calls", ids)
    if calls:
        raise RequestError(f"{where}.function_call is set beside tool_calls; give one.")
    ids.begin_turn()
    name, arguments = _function(old, f"{where}.function_call", ids.mend)
    return [ids.add(name, None) | {"type": "function", "function": {"name": name, "arguments": arguments}}]


def _content(content: object, where: str, mend: bool) -> str | list:
    """The text of a content: a string, a list of text parts, or null. Without mend, a list that has other parts stays
    a list."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        raise RequestError(f"{where} is neither a string nor a list of parts nor null.")
    texts = []
    for i, part in enumerate(content):
        kind = (part.get("type") or "text") if isinstance(part, Mapping) else "text"
        if kind not in ("text", "refusal"):
            if not mend:
                return [dict(part) if isinstance(part, Mapping) else {"text": part} for part in content]
            raise RequestError(f"{where}[{i}] is of type {shown(kind)}, but only text can be read.")
        if mend and isinstance(part, Mapping):
            refuse_unknown(part, PART_KEYS, f"{where}[{i}]")
        text = part.get(kind) if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            raise RequestError(f"{where}[{i}] has no text.")
        texts.append(text)
    return "".join(texts)


def _tool_calls(calls: object, where: str, ids: _CallIds) -> list[dict[str, Any]]:
    """The calls of an assistant message, with new ids; none for null or an empty list."""
    if calls is None:
        return []
    if isinstance(calls, str) or not isinstance(calls, Sequence):
        raise RequestError(f"{where} is not a list of calls.")
    if calls:
        ids.begin_turn()
    result = []
    for i, call in enumerate(calls):
        function = call.get("function") if isinstance(call, MAPPING) else None
        name, arguments = _function(function, f"{where}[{i}].function", ids.mend)
        if ids.mend:
            refuse_unknown(call, CALL_KEYS, f"{where}[{i}]")
        new_id = ids.add(name, _text(call, "id", f"{where}[{i}]") or None)
        result.append(new_id | {"type": "function", "function": {"name": name, "arguments": arguments}})
    return result


def _function(function: object, where: str, mend: bool) -> tuple[str, str | dict[str, Any]]:
    """The name and the arguments of a call."""
    name = function.get("name") if isinstance(function, MAPPING) else None
    if not isinstance(function, MAPPING) or not isinstance(name, str) or not name:
        raise RequestError(f"{where}.name is missing or no string.")
    if mend:
        refuse_unknown(function, FUNCTION_KEYS, where)
    return name, _arguments(function.get("arguments"), f"{where}.arguments")


def _arguments(arguments: object, where: str) -> str | dict[str, Any]:
    """Arguments as the template takes them: a string is printed as it is, an object as JSON, and nothing means {}."""
    if arguments is None:
        return "{}"
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    if not isinstance(arguments, Mapping):
        raise RequestError(f"{where} is neither a JSON string nor an object.")
    return _json(arguments, where)


def _text(holder: Mapping[str, Any], key: str, where: str) -> str | None:
    """An object's string or None. RequestError: anything else."""
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{where}.{key} is not a string.")
    return value


def _json(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A copy of a value, in plain JSON types. RequestError: JSON cannot hold it."""
    try:
        return json.loads(json.dumps(value if isinstance(value, dict) else dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"{where} cannot be written as JSON ({error}).") from error


def _sorted(value: object) -> object:
    """The value with the keys of every object in it sorted; lists keep their order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
