"""The body of a request: read so that no body stalls the others, and checked against the table of fields."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, create_model, model_validator
from starlette.types import Receive, Scope

from ..config.field import Door
from ..config.fields import EFFORTS, WITHOUT_EFFECT, fields_at
from ..config.parameters import read
from ..errors import KimiError, RequestError, shown
from ..llm.parameters import well_formed
from .errors import ApiError, api_error

MAX_VALUES = 1 << 20  # four times the ids of the longest context; reading as many takes 0.2 s, which nothing interrupts
NAME_VALUES, LIST_VALUES = 5, 3  # that a name in an object, and a list or an object, count for: they take as long
SMALL_BYTES = 1 << 14  # of a body that is read on the event loop; medium and large ones have threads of their own
MEDIUM_BYTES = 1 << 20
MEDIUM, LARGE = (ThreadPoolExecutor(2, f"kimi-cpu {size} body") for size in ("medium", "large"))
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MAX_FIELDS = 200  # of an object whose fields are known; each unknown one would be an error of its own
Result = TypeVar("Result")
Element = TypeVar("Element")

Items = Annotated[list[Element], Field(fail_fast=True)]  # a list that is refused for its first wrong item
if TYPE_CHECKING:
    Effort = str
else:
    Effort = Literal[*EFFORTS]
TEXT = {"type": "string"}
TEXT_OR_PARTS = {"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}]}


class JsonRoute(APIRoute):
    """A route whose body is read by JsonRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        model = None if self.body_field is None else cast(type[BaseModel], self.body_field.field_info.annotation)

        async def handle(request: Request) -> Response:
            return await handler(JsonRequest(request.scope, request.receive, model))

        return handle


class JsonRequest(Request):
    """A request whose body is checked by a pydantic model."""

    def __init__(self, scope: Scope, receive: Receive, model: type[BaseModel] | None):
        super().__init__(scope, receive)
        self._model, self._num_bytes = model, 0

    async def json(self) -> Any:
        """The body as an instance of its model. ApiError: it is no JSON, has too many values, or does not fit the
        model."""
        raw = await self.body()
        self._num_bytes = len(raw)
        try:
            return self._read(raw) if self._num_bytes <= SMALL_BYTES else await self.beside(self._read, raw)
        except (KimiError, ValidationError) as e:
            raise api_error(e) from e

    async def beside(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of work(*arguments), which takes long where the body is large, from beside the event loop."""
        workers = None if self._num_bytes <= SMALL_BYTES else MEDIUM if self._num_bytes <= MEDIUM_BYTES else LARGE
        return await asyncio.get_running_loop().run_in_executor(workers, work, *arguments)

    def _read(self, raw: bytes) -> BaseModel:
        assert self._model is not None
        return self._model.model_validate(parse(raw))


class Body(BaseModel):
    """A request's JSON object. A field that is null counts as absent. door: the door of the table of fields at which it
    comes in; its fields are checked as the table says. fixed: values of fields that have no other here; others are
    refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    door: ClassVar[Door | None] = None
    fixed: ClassVar[dict[str, tuple]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_noise(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if len(data) > MAX_FIELDS:
            raise ValueError(f"The request has {len(data):,} fields; {MAX_FIELDS} are more than there are.")
        for name, allowed in cls.fixed.items():
            if data.get(name) is not None and data[name] not in allowed:
                raise ValueError(f"{name} {shown(data[name])} is not supported; leave it out.")
        noise = (WITHOUT_EFFECT | cls.fixed.keys()) - cls.model_fields.keys()
        given = {k: v for k, v in data.items() if v is not None and k not in noise}
        return given if cls.door is None else read(given, cls.door, others=cls.model_fields.keys() - cls._of_table())

    def given(self) -> dict[str, Any]:
        """The request's own values of fields of the table."""
        return {name: getattr(self, name) for name in self.model_fields_set & self._of_table()}

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool((getattr(self, "stream_options", None) or {}).get("include_usage"))

    @classmethod
    def _of_table(cls) -> set[str]:
        assert cls.door is not None
        return {field.name for field in fields_at(cls.door).values()}


def body_at(door: Door) -> type[Any]:
    """A Body with the fields that the table has at a door, under the table's names, and described under the door's."""
    known = fields_at(door)
    # Of any type: the validator of Body has checked them.
    fields: dict[str, Any] = {f.name: (Annotated[Any, WithJsonSchema(f.schema)], f.default) for f in known.values()}
    renamed = {f.name for f in known.values()} - known.keys()
    others = {name: f.schema for name, f in known.items() if name != f.name}

    def as_called(schema: dict) -> None:
        properties = {name: value for name, value in schema["properties"].items() if name not in renamed}
        schema["properties"] = properties | others

    made = create_model("Fields", __base__=Body, __doc__="Fields of the table.", **fields)
    made.model_config["json_schema_extra"] = as_called
    made.door = door
    return made


def described(required: dict[str, Any], **optional: dict[str, Any]) -> WithJsonSchema:
    """The description of JSON objects that are checked where they are read, for the annotation of their type."""
    return WithJsonSchema({"type": "object", "properties": required | optional, "required": list(required)})


def text_of(value: object, where: str) -> str:
    """A value that must be a text. RequestError: it is missing, or something else."""
    if not isinstance(value, str):
        raise RequestError(f"{where} is missing or no text.")
    return value


def parse(raw: bytes) -> Any:
    """The value of a JSON text, without halves of surrogate pairs. ApiError, RequestError: as JsonRequest.json."""
    if _num_values(raw) > MAX_VALUES:
        counted = f"a list or an object counts for {LIST_VALUES}, a name in an object for {NAME_VALUES}"
        raise ApiError(400, f"The body has more than {MAX_VALUES:,} values, where {counted}.")
    try:
        value = json.loads(raw, parse_constant=_no_number, parse_float=_float)
    except RecursionError as e:
        raise ApiError(400, "The body is nested too deeply; make it flatter.") from e
    except UnicodeDecodeError as e:
        raise ApiError(400, "The body is not UTF-8.") from e
    except json.JSONDecodeError as e:
        raise ApiError(400, f"The body is not JSON: {e.msg} at character {e.pos}.") from e
    except ValueError as e:
        raise ApiError(400, f"The body is not JSON that can be read: {e}.") from e
    return well_formed(value)


def _num_values(raw: bytes) -> int:
    """About how many values a JSON text has, by its commas, opening brackets and colons; those in strings are left out
    where it matters."""
    count = _num_marks(raw)
    return count if count <= MAX_VALUES else _num_marks(STRING.sub(b"", raw))


def _num_marks(raw: bytes) -> int:
    return raw.count(b",") + LIST_VALUES * (raw.count(b"[") + raw.count(b"{")) + NAME_VALUES * raw.count(b":")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:20])
