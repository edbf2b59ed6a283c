"""A tool: a plain Python function, its name and parameters as the model is told them, and how it is called."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, overload

import docstring_parser
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ArgsKwargs

from ..errors import ConfigError, shown

TIMEOUT_S = 120.0
CALL_ID = "call_id"  # the parameter of a function that may be called again with the same id
NAME = re.compile(r"[\w.-]{1,128}")  # as the chat takes them
Function = TypeVar("Function", bound=Callable[..., object])
JsonObject = dict[str, Any]


class BadArguments(Exception):
    """The arguments of a call are not those that the tool declares; the message is for the model."""


class Refused(Exception):
    """A tool is not to act for this run; the message is for the model."""


@dataclass(frozen=True)
class Tool:
    """Something that the model may call.

    parameters: JSON schema of its arguments. call(arguments, call_id) -> the result, in the thread of the call.
    timeout: seconds after which the model is told that there is no result. read_only: it changes nothing. idempotent:
    a second call with the same id changes nothing more. needs_consent: run only where its user allows it.
    """

    name: str
    description: str
    parameters: JsonObject
    call: Callable[[JsonObject, str], object] = field(repr=False)
    timeout: float = TIMEOUT_S
    read_only: bool = False
    idempotent: bool = False
    needs_consent: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"{shown(self.name)} is no name for a tool; it must be letters, digits, '_', '-', '.'.")

    @property
    def repeatable(self) -> bool:
        """Whether a call of which nobody knows if it was carried out may be made again."""
        return self.read_only or self.idempotent

    def declaration(self) -> JsonObject:
        """The tool in OpenAI's form."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


@overload
def tool(function: Function, /) -> Function: ...
@overload
def tool(
    *, name: str | None = None, timeout: float = TIMEOUT_S, read_only: bool = False, needs_consent: bool = False
) -> Callable[[Function], Function]: ...
def tool(function: Any = None, /, **options: Any) -> Any:
    """Marks a function as a tool, and says how it is called: `@tool`, or `@tool(timeout=10, read_only=True)`. The
    function stays what it is. options: attributes of Tool."""

    def mark(marked: Callable[..., object]) -> Callable[..., object]:
        marked.__kimi_tool__ = options  # pyright: ignore[reportFunctionMemberAccess]
        return marked

    return mark if function is None else mark(function)


def tool_of(given: Tool | Callable[..., object]) -> Tool:
    """The tool of a function: its name, parameters from its signature, descriptions from its docstring. A parameter
    `call_id` is given the id of the call, which stays the same when the call is made again. ConfigError: the function
    cannot be one."""
    if isinstance(given, Tool):
        return given
    options = dict(getattr(given, "__kimi_tool__", {}))
    name = options.pop("name", None) or getattr(given, "__name__", type(given).__name__)
    try:
        parameters = inspect.signature(given).parameters
        adapter: TypeAdapter[object] = TypeAdapter(cast(Any, given))  # pydantic makes a function a type
        schema = adapter.json_schema(schema_generator=_Schema)
    except (PydanticUserError, TypeError, ValueError, NameError) as e:
        raise ConfigError(f"The parameters of {name} cannot be told to a model: {str(e).splitlines()[0]}") from e
    odd = [p.name for p in parameters.values() if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if odd:
        raise ConfigError(f"The tool {name} has the parameter {odd[0]}, which has no name for a caller; give it one.")
    takes_id = CALL_ID in parameters
    description = _describe(inspect.getdoc(given) or "", schema)

    def call(arguments: JsonObject, call_id: str) -> object:
        given_id = {CALL_ID: call_id} if takes_id else {}
        try:
            result = adapter.validate_python(ArgsKwargs((), arguments | given_id))
        except ValidationError as e:
            raise BadArguments(_complaint(e)) from e
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    return Tool(name, description, schema, call, idempotent=takes_id, **options)


def arguments_of(text: str) -> JsonObject:
    """The arguments that a model has written. BadArguments: they are no JSON object."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError) as e:
        raise BadArguments(f"The arguments are no JSON: {e}") from e
    if not isinstance(arguments, Mapping):
        raise BadArguments("The arguments are no JSON object.")
    return dict(arguments)


class _Schema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title repeats the name, and the prompt is longer for it."""
        return False


def _describe(docstring: str, schema: JsonObject) -> str:
    """Puts what a docstring says of the parameters into their schema; returns what it says of the function."""
    schema["properties"] = {k: v for k, v in schema.get("properties", {}).items() if k != CALL_ID}
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name != CALL_ID]
    parsed = docstring_parser.parse(docstring)
    for parameter in parsed.params:
        told = schema["properties"].get(parameter.arg_name)
        if told is not None and parameter.description:
            told.setdefault("description", parameter.description)
    return parsed.description or ""


def _complaint(error: ValidationError) -> str:
    """A validation error in a line for the model."""
    wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
    return "The arguments do not fit the tool: " + "; ".join(wrong)
