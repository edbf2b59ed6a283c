"""From a checked request to its answer, whole or as an event stream; the same for all protocols."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..llm import Piece
from .answers import Answers, Question
from .errors import error_body
from .events import EventStream, until_disconnect
from .service import Service


class Writer(Protocol):
    """The form in which one protocol writes answers."""

    def begin(self) -> bytes:
        """Events before the first piece."""
        ...

    def push(self, index: int, piece: Piece) -> bytes:
        """Events of one piece, perhaps none."""
        ...

    def end(self) -> bytes:
        """Events after the last piece."""
        ...

    def failed(self, body: dict) -> bytes:
        """The last event of a stream that failed. body: the error object."""
        ...

    def whole(self, answers: list[Any]) -> dict[str, Any]:
        """The body of an answer that is not streamed. answers: chat completions, or completions."""
        ...


async def reply(
    request: Request, service: Service, answer_id: str, questions: Sequence[Question], writer: Writer, stream: bool
) -> Response:
    """The answers to the questions of a request, as its response."""
    answers = await until_disconnect(service.ask(answer_id, questions), request.receive)
    if stream:
        return EventStream(
            _events(answers, writer),
            service.settings.ping_s,
            lambda e: writer.failed(error_body(e)),
            answers.close,
        )
    try:
        whole = await until_disconnect(answers.whole(), request.receive)
        return await asyncio.to_thread(lambda: JSONResponse(writer.whole(whole)))
    finally:
        answers.close()


def new_id(prefix: str) -> str:
    """A name that no other answer has."""
    return f"{prefix}{secrets.token_hex(12)}"


async def _events(answers: Answers, writer: Writer) -> AsyncIterator[bytes]:
    yield writer.begin()
    async for index, piece in answers:
        if chunk := writer.push(index, piece):
            yield chunk
    yield writer.end()
