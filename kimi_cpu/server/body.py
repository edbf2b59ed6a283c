"""The body of a request, read and checked so that no body stalls the others."""

import asyncio
import json
import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from ..errors import KimiError
from ..llm.parameters import well_formed
from .errors import ApiError, api_error

MAX_VALUES = 1 << 20  # four times the ids of the longest context; reading as many takes 0.2 s, which nothing interrupts
NAME_VALUES, LIST_VALUES = 5, 3  # what a name in an object, and a list or an object, count for: they take as long
SMALL_BYTES = 1 << 14  # are read at once; what is made of them, or of medium ones, does not wait for larger bodies
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MEDIUM_BYTES = 1 << 20
MEDIUM, LARGE = (ThreadPoolExecutor(2, f"kimi-cpu {size} body") for size in ("medium", "large"))

Result = TypeVar("Result")


class JsonRoute(APIRoute):
    """A route whose body is read here."""

    def get_route_handler(self):
        handler = super().get_route_handler()
        model = None if self.body_field is None else self.body_field.field_info.annotation

        async def handle(request: Request):
            return await handler(JsonRequest(request.scope, request.receive, model))

        return handle


class JsonRequest(Request):
    """A request whose body is of a model."""

    def __init__(self, scope, receive, model: type[BaseModel] | None):
        super().__init__(scope, receive)
        self._model, self._num_bytes = model, 0

    async def json(self) -> Any:
        """The body as its model. ApiError: it is no JSON, more of it than can be read, or not as the model says."""
        raw = await self.body()
        self._num_bytes = len(raw)
        try:
            return self._read(raw) if self._num_bytes <= SMALL_BYTES else await self.beside(self._read, raw)
        except (KimiError, ValidationError) as e:
            raise api_error(e) from e

    async def beside(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """What work(*arguments), which takes long where the body is large, returns, beside the event loop."""
        workers = None if self._num_bytes <= SMALL_BYTES else MEDIUM if self._num_bytes <= MEDIUM_BYTES else LARGE
        return await asyncio.get_running_loop().run_in_executor(workers, work, *arguments)

    def _read(self, raw: bytes) -> BaseModel:
        return self._model.model_validate(parse(raw))


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
    """About how many values a JSON text has: its commas and opening brackets, and the names in its objects; those in
    strings are left out where it matters."""
    count = _num_marks(raw)
    return count if count <= MAX_VALUES else _num_marks(STRING.sub(b"", raw))


def _num_marks(raw: bytes) -> int:
    return raw.count(b",") + LIST_VALUES * (raw.count(b"[") + raw.count(b"{")) + NAME_VALUES * raw.count(b":")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:20])
