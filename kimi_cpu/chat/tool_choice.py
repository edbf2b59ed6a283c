"""What a request asks of the answer's shape: its tools, tool_choice and response_format, in OpenAI's form."""

import re
from reprlib import repr  # that of a hostile value may be as long as its request
from typing import NamedTuple

from ..errors import RequestError

NAME = re.compile(r"[\w.-]+")  # wider than OpenAI's [a-zA-Z0-9_-]; nothing that could end the call's header
SCHEMA_FIELDS = ("name", "description", "schema", "strict")  # of OpenAI's json_schema
NO_PARAMETERS = {"type": "object", "additionalProperties": False}  # OpenAI: parameters left out are an empty list


class Parameters(NamedTuple):
    """JSON schema of a tool's arguments, and whether a keyword that cannot be enforced is to refuse the request."""

    schema: dict | bool
    strict: bool


def declared_tools(tools: list[dict] | None) -> dict[str, Parameters]:
    """Name -> schema of the arguments. RequestError: a tool that is malformed or declared twice."""
    declared: dict[str, Parameters] = {}
    for tool in tools or ():
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise RequestError(f"A tool has the name {name!r}; it must be letters, digits, '_', '-' and '.'.")
        if name in declared:
            raise RequestError(f"The tool {name!r} is declared twice; give each tool one name.")
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
            f"tool_choice is {repr(tool_choice)}; it must be 'none', 'auto', 'required', a function or allowed_tools."
        )
    if not declared:
        raise RequestError(f"tool_choice is {kind!r}, but no tools are declared; give tools, or leave it out.")
    if kind == "required":
        return declared, True
    if kind == "function":
        name = _named(tool_choice, declared)
        return {name: declared[name]}, True
    allowed = tool_choice.get("allowed_tools", tool_choice)  # the Responses API has mode and tools beside the type
    mode, listed = (allowed.get("mode"), allowed.get("tools")) if isinstance(allowed, dict) else (None, None)
    if mode not in ("auto", "required"):
        raise RequestError(f"tool_choice.allowed_tools.mode is {repr(mode)}; it must be 'auto' or 'required'.")
    if not isinstance(listed, list) or not listed:
        raise RequestError("tool_choice.allowed_tools.tools must be a list of one or more tools.")
    names = [_named(tool, declared) for tool in listed]
    return {name: declared[name] for name in names}, mode == "required"


def _named(choice: object, declared: dict[str, Parameters]) -> str:
    """The name of the function that a choice means, in the form of chat or of Responses."""
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in declared:
        raise RequestError(f"tool_choice names {repr(name)}, which is not among the declared tools.")
    return name


def answer_schema(
    response_format: dict | None, where: str = "response_format", flat: bool = False
) -> dict | bool | None:
    """The JSON schema that the answer must have, None for free text.

    The forms are OpenAI's, and llama.cpp's json_object with a schema. where: the field's name for the client. flat:
    what json_schema holds stands beside the type, as in the Responses API. RequestError: it is malformed.
    """
    if response_format is None:
        return None
    if not isinstance(response_format, dict):
        raise RequestError(f"{where} is {repr(response_format)}; it must be an object.")
    kind = response_format.get("type")
    rest = {key: value for key, value in response_format.items() if key != "type" and value is not None}
    if kind == "text":
        _only(rest, (), where)
        return None
    if kind == "json_object":
        _only(rest, ("schema",), where)
        return _schema(rest, where) if "schema" in rest else {"type": "object"}
    if kind != "json_schema":
        raise RequestError(f"{where}.type is {repr(kind)}; it must be 'text', 'json_object' or 'json_schema'.")
    if not flat:
        _only(rest, ("json_schema",), where)
        where = f"{where}.json_schema"
        rest = rest.get("json_schema")
        if not isinstance(rest, dict):
            raise RequestError(f"{where} is missing or no object; it must hold a schema.")
    _only({key: value for key, value in rest.items() if value is not None}, SCHEMA_FIELDS, where)
    return _schema(rest, where)


def _schema(holder: dict, where: str) -> dict | bool:
    schema = holder.get("schema")
    if not isinstance(schema, dict | bool):
        raise RequestError(f"{where}.schema is missing or no schema; it must be an object, true or false.")
    return schema


def _only(given: dict, known: tuple[str, ...], where: str) -> None:
    """RequestError: a key that is not known."""
    key = next((key for key in given if key not in known), None)
    if key is not None:
        raise RequestError(f"{where} has {repr(key)}, which is not known.", f"{where}.{key[:64]}", "unknown_parameter")
