"""Tools: which of them a request lets the model call, in OpenAI's form, and which one the header of a call means."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..config.field import refuse_unknown
from ..errors import RequestError, shown

MAX_TOOLS = 512  # four times OpenAI's 128
TOOL_NAME = re.compile(r"[\w.-]{1,128}")  # wider than OpenAI's [a-zA-Z0-9_-]; nothing that could end the call's header
TOOL_KEYS = frozenset({"type", "function", "cache_control"})
FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict", "cache_control"}) | {"return"}  # transformers
NO_PARAMETERS = {"type": "object", "additionalProperties": False}  # OpenAI: parameters left out are an empty list

_AS_TAUGHT = re.compile(r"(?:functions\.)?+(?P<name>\S+):(?P<index>[0-9]+)")
_BARE_INDEX = re.compile(r"[0-9]+")
_OPENAI_ID = re.compile(r"(?:call|chatcmpl-tool|toolu)[_-]\w+")


class Parameters(NamedTuple):
    """JSON schema of a tool's arguments. strict: a keyword in it that cannot be enforced refuses the request."""

    schema: dict | bool
    strict: bool


def declared_tools(tools: Sequence[Mapping[str, Any]] | None) -> dict[str, Parameters]:
    """Name -> parameters of the tools that a request declares. RequestError: one is malformed or declared twice."""
    declared: dict[str, Parameters] = {}
    if tools is not None and len(tools) > MAX_TOOLS:
        raise RequestError(f"tools has {len(tools):,} tools; it may have {MAX_TOOLS}.")
    for i, tool in enumerate(tools or ()):
        where = f"tools[{i}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in (None, "function"):
            raise RequestError(f"{where}.type is {shown(kind)}; only functions can be called.")
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
            raise RequestError(f"{where}.function.name is {shown(name)}; it must be letters, digits, '_', '-' and '.'.")
        refuse_unknown(tool, TOOL_KEYS, where)
        refuse_unknown(function, FUNCTION_KEYS, f"{where}.function")
        if name in declared:
            raise RequestError(f"{where}.function.name is {shown(name)}, which is declared twice; give each one name.")
        schema = function.get("parameters")
        schema = NO_PARAMETERS if schema is None or schema == {} else schema
        declared[name] = Parameters(schema, function.get("strict") is True)
    return declared


def chosen_tools(
    tools: Sequence[Mapping[str, Any]] | None, tool_choice: str | Mapping[str, Any]
) -> tuple[dict[str, Parameters], bool]:
    """The tools that may be called, by name, and whether one must be. RequestError: a choice that cannot be met."""
    declared = declared_tools(tools)
    if tool_choice == "none":
        return {}, False
    if tool_choice == "auto":
        return declared, False
    kind = tool_choice.get("type") if isinstance(tool_choice, dict) else tool_choice
    if kind not in ("required", "function", "allowed_tools"):
        raise RequestError(
            f"tool_choice is {shown(tool_choice)}; it must be 'none', 'auto', 'required', a function or allowed_tools."
        )
    if kind == "function":
        name = _named(tool_choice, declared)
        return {name: declared[name]}, True
    if not declared:
        raise RequestError(f"tool_choice is {kind!r}, but no tools are declared; give tools, or leave it out.")
    if kind == "required":
        return declared, True
    given = tool_choice if isinstance(tool_choice, dict) else {}
    allowed = given.get("allowed_tools", given)  # the Responses API has mode and tools beside the type
    mode, listed = (allowed.get("mode"), allowed.get("tools")) if isinstance(allowed, dict) else (None, None)
    if mode not in ("auto", "required"):
        raise RequestError(f"tool_choice.allowed_tools.mode is {shown(mode)}; it must be 'auto' or 'required'.")
    if not isinstance(listed, list) or not listed:
        raise RequestError("tool_choice.allowed_tools.tools must be a list of one or more tools.")
    names = [_named(tool, declared) for tool in listed]
    return {name: declared[name] for name in names}, mode == "required"


def _named(choice: object, declared: dict[str, Parameters]) -> str:
    """The name of the function that a choice means, in the form of OpenAI's chat or Responses API."""
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in declared:
        raise RequestError(f"tool_choice names {shown(name)}, which is not among the declared tools.")
    return name


def tool_names(tools: Iterable[str | Mapping[str, Any]] | None) -> tuple[str, ...] | None:
    """The names of tools given as names or in OpenAI's form; None, for tools that are unknown, stays None."""
    if tools is None:
        return None
    return tuple(tool if isinstance(tool, str) else tool.get("function", tool)["name"] for tool in tools)


def read_header(header: str, names: tuple[str, ...] | None) -> tuple[str, str] | None:
    """(id, name) of a call, or None if the header names no tool. names: the declared tools, None if they are unknown.

    As the model was taught, `functions.NAME:INDEX` with or without the prefix: the id is kept and the name need not be
    declared. Otherwise only a declared name is recognised, and the id is rewritten as taught: `functions_NAME_0`,
    `functionsNAME0`, `functions(NAME):0.0`, - and _ mixed up; a bare index where one tool is declared. With no tools
    declared at all (an empty tuple) there is no call.
    """
    if names == ():
        return None
    header = header.strip()
    taught = _AS_TAUGHT.fullmatch(header)
    if taught and (names is None or taught["name"] in names):
        return header, taught["name"]
    found = _recognise(header, names or ())
    if found:
        name, index = found
        return f"functions.{name}:{index}", name
    return (header, taught["name"]) if taught else None


def is_openai_id(header: str) -> bool:
    """Whether a header is an id in OpenAI's style, which says nothing about the tool."""
    return _OPENAI_ID.fullmatch(header.strip()) is not None


def _recognise(header: str, names: tuple[str, ...]) -> tuple[str, int] | None:
    """(name, index) of the longest declared name that a misspelled header may mean."""
    if _BARE_INDEX.fullmatch(header):
        return (names[0], int(header)) if len(names) == 1 else None
    plain = header.replace("-", "_")
    if any(re.fullmatch(rf"(?:functions?[._]?)?{re.escape(name.replace('-', '_'))}", plain) for name in names):
        return None  # a tool, but no index: digits at its end belong to the name
    for name in sorted(names, key=len, reverse=True):
        tool = re.escape(name.replace("-", "_"))
        prefixed = rf"functions?(?:[._]?{tool}|\({tool}\))[:_.]?"
        match = re.fullmatch(rf"(?:{prefixed}|{tool}[:_])([0-9]+)(?:\.0+)?", plain)
        if match:
            return name, int(match[1])
    return None
