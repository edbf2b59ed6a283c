"""What a request asks of the answer's shape: its tools, tool_choice and response_format, in OpenAI's form."""

import re
from typing import NamedTuple

from ..errors import RequestError

NAME = re.compile(r"[\w.-]+")  # wider than OpenAI's [a-zA-Z0-9_-]; nothing that could end the call's header
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
    if tool_choice == "required":
        if not declared:
            raise RequestError("tool_choice is 'required' but no tools are declared.")
        return declared, True
    function = tool_choice.get("function") if isinstance(tool_choice, dict) else None
    if not isinstance(function, dict):
        raise RequestError(f"tool_choice is {tool_choice!r}; it must be 'none', 'auto', 'required' or name a function.")
    name = function.get("name")
    if not isinstance(name, str) or name not in declared:
        raise RequestError(f"tool_choice names {name!r}, which is not among the declared tools.")
    return {name: declared[name]}, True


def answer_schema(response_format: dict | None) -> dict | bool | None:
    """The JSON schema that the answer must have, None for free text. RequestError: a malformed response_format."""
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    wrapped = response_format.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wrapped, dict) or not isinstance(wrapped.get("schema"), dict | bool):
        raise RequestError("response_format must have the type 'text', 'json_object', or 'json_schema' with a schema.")
    return wrapped["schema"]
