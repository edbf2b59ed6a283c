"""What a request asks of calls: its tools and tool_choice, in OpenAI's form."""

import re
from typing import NamedTuple

from ..config.field import refuse_unknown
from ..errors import RequestError, shown

MAX_TOOLS = 512  # four times OpenAI's 128
NAME = re.compile(r"[\w.-]{1,128}")  # wider than OpenAI's [a-zA-Z0-9_-]; nothing that could end the call's header
TOOL_KEYS = frozenset({"type", "function", "cache_control"})
FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict", "cache_control"}) | {"return"}  # transformers
NO_PARAMETERS = {"type": "object", "additionalProperties": False}  # OpenAI: parameters left out are an empty list


class Parameters(NamedTuple):
    """JSON schema of a tool's arguments, and whether a keyword that cannot be enforced is to refuse the request."""

    schema: dict | bool
    strict: bool


def declared_tools(tools: list[dict] | None) -> dict[str, Parameters]:
    """Name -> schema of the arguments. RequestError: a tool that is malformed or declared twice."""
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
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise RequestError(f"{where}.function.name is {shown(name)}; it must be letters, digits, '_', '-' and '.'.")
        refuse_unknown(tool, TOOL_KEYS, where)
        refuse_unknown(function, FUNCTION_KEYS, f"{where}.function")
        if name in declared:
            raise RequestError(f"{where}.function.name is {shown(name)}, which is declared twice; give each one name.")
        schema = function.get("parameters")
        schema = NO_PARAMETERS if schema is None or schema == {} else schema
        declared[name] = Parameters(schema, function.get("strict") is True)
    return declared


def chosen_tools(tools: list[dict] | None, tool_choice: str | dict) -> tuple[dict[str, Parameters], bool]:
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
    allowed = tool_choice.get("allowed_tools", tool_choice)  # the Responses API has mode and tools beside the type
    mode, listed = (allowed.get("mode"), allowed.get("tools")) if isinstance(allowed, dict) else (None, None)
    if mode not in ("auto", "required"):
        raise RequestError(f"tool_choice.allowed_tools.mode is {shown(mode)}; it must be 'auto' or 'required'.")
    if not isinstance(listed, list) or not listed:
        raise RequestError("tool_choice.allowed_tools.tools must be a list of one or more tools.")
    names = [_named(tool, declared) for tool in listed]
    return {name: declared[name] for name in names}, mode == "required"


def _named(choice: object, declared: dict[str, Parameters]) -> str:
    """The name of the function that a choice means, in the form of chat or of Responses."""
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in declared:
        raise RequestError(f"tool_choice names {shown(name)}, which is not among the declared tools.")
    return name
