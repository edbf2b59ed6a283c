"""A field of a request: the doors at which it comes in, its type and bounds, and the check of a value."""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from numbers import Integral, Real
from typing import Any

from ..errors import RequestError, shown


class Door(Enum):
    """A place at which requests come in."""

    CHAT = auto()  # /v1/chat/completions, batches of it, LLM.create_chat_completion
    COMPLETIONS = auto()  # /v1/completions, batches of it, LLM.create_completion
    RESPONSES = auto()  # /v1/responses
    MESSAGES = auto()  # /v1/messages
    PYTHON_CHAT = auto()  # LLM.chat, LLM.stream, LLM.submit
    PYTHON_RAW = auto()  # LLM.generate, and the others with a raw prompt
    COMMAND_LINE = auto()  # run, chat, batch
    SET = auto()  # /set of the REPL
    PLUGIN = auto()  # -o of simonw's llm


class Kind(Enum):
    """The type of a field, in words."""

    NUMBER = "a number"
    INTEGER = "an integer"
    FLAG = "true or false"
    FLAG_OR_OBJECT = "true, false or an object"
    TEXT = "a text"
    TEXTS = "a text of 1 to 256 characters, or a list of at most 64 of them"
    OBJECT = "an object"
    OBJECTS = "a list of objects"
    TEXT_OR_OBJECT = "a text or an object"
    BIAS = "an object of token ids with -100 to 100 each"
    PROMPT = "a text, a list of ids, or a list of either"


FLAGS = (Kind.FLAG, Kind.FLAG_OR_OBJECT)  # an option without a value
LARGEST = sys.float_info.max  # an integer beyond it becomes no float
MAX_ID_DIGITS = 19  # of a token id: 64 bits
MAX_TEXTS, MAX_TEXT = 64, 256  # stop texts and characters of one; OpenAI takes four


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field. least, most: its bounds; above: least itself is out of them. unset: the meaning of the default None.
    off: the meaning of -1, whose value is the default. aliases: names of other engines that are as good. own: the one
    name at a door where it is another. flags: names on the command line, where they are not the field's. members: of an
    object, all that it may have; without them they are looked at where they are used. doors: where it may be given."""

    name: str
    kind: Kind
    help: str
    doors: frozenset[Door]
    default: Any = None
    unset: str = ""
    least: float | None = None
    most: float | None = None
    above: bool = False
    off: str = ""
    choices: tuple[str, ...] = ()
    members: tuple["Field", ...] = ()
    aliases: tuple[str, ...] = ()
    own: Mapping[Door, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def names(self, door: Door) -> tuple[str, ...]:
        """Its names at a door; the first is its own."""
        return (self.own[door],) if door in self.own else (self.name, *self.aliases)

    def checked(self, value: Any, name: str | None = None) -> Any:
        """The value as the engine takes it: whole numbers as int, texts as a tuple, ids as int, -1 as the default where
        it says off. name: what the client calls the field. RequestError: it cannot be."""
        name = name or self.name
        if self.members and isinstance(value, Mapping):
            return _checked_members(self.members, value, name)
        good, value = _READ[self.kind](value)
        code = "invalid_value" if good else "invalid_type"
        if good and self.off and value == -1:
            return self.default
        if good and self.kind in (Kind.NUMBER, Kind.INTEGER):
            good = self._holds(value)
        if good and self.choices and isinstance(value, str):
            good = value in self.choices
        elif good and self.kind is Kind.OBJECTS and self.least:
            good = len(value) >= self.least
        if not good:
            raise RequestError(f"{name} is {shown(value)}; it must be {self.wanted}.", name, code)
        return value

    def parsed(self, text: str) -> Any:
        """`checked` of a text that a person typed."""
        read = {Kind.NUMBER: float, Kind.INTEGER: int, **dict.fromkeys(FLAGS, _FLAGS.__getitem__)}.get(self.kind, str)
        try:
            value = read(text)
        except (KeyError, ValueError):
            value = text
        return self.checked(value)

    @property
    def wanted(self) -> str:
        """The values that it takes, in words."""
        if self.choices:
            words = ", ".join(map(repr, self.choices))
            return f"one of {words}" + (" or an object" if self.kind is Kind.TEXT_OR_OBJECT else "")
        words = self.kind.value
        if self.kind is Kind.OBJECTS and self.least:
            words = "a list of one or more objects"
        elif self.least is not None and self.most is not None:
            low = f"above {self.least:g} and at most" if self.above else f"from {_bound(self.least)} to"
            words += f" {low} {_bound(self.most)}"
        elif self.least is not None:
            words += f" above {self.least:g}" if self.above else f" of {self.least:g} or more"
        return words + (f", or -1 ({self.off})" if self.off else "")

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        schema = dict(_SCHEMAS[self.kind])
        if self.kind in (Kind.NUMBER, Kind.INTEGER):
            least = -1 if self.off else self.least
            bounds = {"exclusiveMinimum" if self.above else "minimum": least, "maximum": self.most}
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        elif self.kind is Kind.TEXT and self.choices:
            schema["enum"] = list(self.choices)
        elif self.kind is Kind.FLAG_OR_OBJECT:
            schema = {"anyOf": [schema, _OBJECT | _members_schema(self.members)]}
        elif self.members:
            schema |= _members_schema(self.members)
        return schema | {"description": self.help}

    def _holds(self, value: float) -> bool:
        if self.kind is Kind.NUMBER and not -LARGEST <= value <= LARGEST:
            return False
        low = self.least is None or (value > self.least if self.above else value >= self.least)
        return low and (self.most is None or value <= self.most)


_FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def _bound(value: float) -> str:
    """A bound for a person."""
    powers: dict[float, str] = {2**63: "2^63", -(2**63): "-2^63", 2**64 - 1: "2^64 - 1"}
    return powers.get(value) or f"{value:g}"


def _number(value: Any) -> tuple[bool, Any]:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False, value
    return True, int(value) if isinstance(value, Integral) else float(value)


def _integer(value: Any) -> tuple[bool, Any]:
    """JSON has one type of numbers: 5.0 is an integer."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return True, int(value)
    if isinstance(value, float) and value.is_integer():
        return True, int(value)
    return False, value


def _texts(value: Any) -> tuple[bool, Any]:
    texts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else None
    if texts is None or len(texts) > MAX_TEXTS:
        return False, value
    good = all(isinstance(text, str) and 0 < len(text) <= MAX_TEXT for text in texts)
    return good, texts if good else value


def _objects(value: Any) -> tuple[bool, Any]:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value), value


def _bias(value: Any) -> tuple[bool, Any]:
    """JSON has text for keys."""
    if not isinstance(value, Mapping):
        return False, value
    good = all(_number(b)[0] and -100 <= b <= 100 and _is_id(token_id) for token_id, b in value.items())
    return good, {int(token_id): _number(b)[1] for token_id, b in value.items()} if good else value


def _is_id(key: Any) -> bool:
    if isinstance(key, str):
        return key.isdecimal() and key.isascii() and len(key) < MAX_ID_DIGITS
    return isinstance(key, Integral) and not isinstance(key, bool)


def _prompt(value: Any) -> tuple[bool, Any]:
    one = isinstance(value, str) or is_ids(value)
    several = isinstance(value, list) and bool(value) and all(isinstance(p, str) or is_ids(p) for p in value)
    return one or several, value


def is_ids(value: Any) -> bool:
    """Whether a prompt is ids, one or more."""
    return isinstance(value, list) and bool(value) and all(type(i) is int for i in value)


def _of(*types: type):
    return lambda value: (isinstance(value, types), value)


_READ = {
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.FLAG: _of(bool),
    Kind.FLAG_OR_OBJECT: _of(bool),
    Kind.TEXT: _of(str),
    Kind.TEXTS: _texts,
    Kind.OBJECT: _of(Mapping),
    Kind.OBJECTS: _objects,
    Kind.TEXT_OR_OBJECT: _of(str, Mapping),
    Kind.BIAS: _bias,
    Kind.PROMPT: _prompt,
}
_TEXT, _OBJECT, _IDS = {"type": "string"}, {"type": "object"}, {"type": "array", "items": {"type": "integer"}}
_STOP = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_SCHEMAS = {
    Kind.NUMBER: {"type": "number"},
    Kind.INTEGER: {"type": "integer"},
    Kind.FLAG: {"type": "boolean"},
    Kind.FLAG_OR_OBJECT: {"type": "boolean"},
    Kind.TEXT: _TEXT,
    Kind.TEXTS: {"anyOf": [_STOP, {"type": "array", "items": _STOP, "maxItems": MAX_TEXTS}]},
    Kind.OBJECT: _OBJECT,
    Kind.OBJECTS: {"type": "array", "items": _OBJECT},
    Kind.TEXT_OR_OBJECT: {"anyOf": [_TEXT, _OBJECT]},
    Kind.BIAS: {"type": "object", "additionalProperties": {"type": "number"}},
    Kind.PROMPT: {"anyOf": [_TEXT, {"type": "array", "items": {"anyOf": [_TEXT, {"type": "integer"}, _IDS]}}]},
}


def _members_schema(members: Iterable[Field]) -> dict[str, Any]:
    return {"properties": {m.name: m.schema for m in members}, "additionalProperties": False}


def unknown(name: str, known: Iterable[str] = ()) -> RequestError:
    """The error of a field that nobody knows. known: names to list."""
    name = name if len(name) <= 64 else name[:61] + "..."
    message = f"Unknown parameter {name!r}: it is refused, because ignoring it could change the answer."
    told = ", ".join(sorted(known))
    return RequestError(message + (f" Known: {told}." if told else ""), name, "unknown_parameter")


def refuse_unknown(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """RequestError: an object of a request has a key that nobody knows, and that is not null."""
    for key, value in given.items():
        if value is not None and key not in known:
            raise unknown(f"{where}.{key}")


def _checked_members(members: Iterable[Field], value: Mapping, name: str) -> dict[str, Any]:
    """An object whose members are all known; null is absent."""
    known = {member.name: member for member in members}
    refuse_unknown(value, known, name)
    return {key: known[key].checked(item, f"{name}.{key}") for key, item in value.items() if item is not None}
