"""The body of a request as a JSON value, read so that no body stalls the others."""

import asyncio
import json
import math
import re
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute

from ..llm.wellformed import well_formed
from .errors import ApiError

MAX_VALUES = (
    1_000_000  # four times the ids of the longest context; such a body is read in 0.1 s, which nothing interrupts
)
SMALL_BYTES = 1 << 16  # are read at once: a thread costs more
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


class JsonRoute(APIRoute):
    """A route whose body is read here."""

    def get_route_handler(self):
        handler = super().get_route_handler()

        async def handle(request: Request):
            return await handler(JsonRequest(request.scope, request.receive))

        return handle


class JsonRequest(Request):
    """A request whose JSON is well-formed text and numbers."""

    async def json(self) -> Any:
        """The body. ApiError, RequestError: it is no JSON, or more of it than can be read."""
        raw = await self.body()
        return parse(raw) if len(raw) <= SMALL_BYTES else await asyncio.to_thread(parse, raw)


def parse(raw: bytes) -> Any:
    """The value of a JSON text, without halves of surrogate pairs. ApiError, RequestError: as JsonRequest.json."""
    if _num_values(raw) > MAX_VALUES:
        raise ApiError(413, f"The body has more than {MAX_VALUES:,} values.")
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
    """About how many values a JSON text has: its commas and opening brackets, those in strings left out where it
    matters."""
    count = _num_marks(raw)
    return count if count <= MAX_VALUES else _num_marks(STRING.sub(b"", raw))


def _num_marks(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:20])
