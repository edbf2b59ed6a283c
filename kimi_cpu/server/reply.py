"""From a checked request to its answer, whole or as an event stream; the same for all protocols."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ..llm import Piece
from .answers import Answers, Question
from .errors import api_error
from .service import Service, log

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Result = TypeVar("Result")


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
            lambda e: writer.failed(_error_body(e)),
            answers.close,
        )
    try:
        whole = await until_disconnect(answers.whole(), request.receive)
        return await asyncio.to_thread(lambda: JSONResponse(writer.whole(whole)))
    finally:
        answers.close()


class EventStream(Response):
    """Sends the chunks of an iterator as they come, and a comment after every ping_s seconds of silence.

    on_error makes the last event out of an exception of the iterator. close is called at the end, and as soon as the
    client has left.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        body: AsyncIterator[bytes],
        ping_s: float,
        on_error: Callable[[Exception], bytes],
        close: Callable[[], None],
    ):
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._body, self._ping_s, self._on_error, self._close = body, ping_s, on_error, close
        self._sent_s = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await until_disconnect(self._run(send), receive)
        except ClientDisconnect:
            pass
        finally:
            self._close()

    async def _run(self, send: Send) -> None:
        pings = asyncio.create_task(self._ping(send))
        try:
            async for chunk in self._body:
                await self._send(send, chunk)
        except Exception as e:
            await self._send(send, self._on_error(e))
        finally:
            pings.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, chunk: bytes) -> None:
        self._sent_s = time.monotonic()
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _ping(self, send: Send) -> None:
        while True:
            silent_s = time.monotonic() - self._sent_s
            if silent_s >= self._ping_s:
                await self._send(send, PING)
                silent_s = 0.0
            await asyncio.sleep(self._ping_s - silent_s)


def new_id(prefix: str) -> str:
    """A name that no other answer has."""
    return f"{prefix}{secrets.token_hex(12)}"


def event(data: object, name: str | None = None) -> bytes:
    """A server-sent event with a JSON value."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode(errors="replace")


async def until_disconnect(work: Awaitable[Result], receive: Receive) -> Result:
    """The result of an awaitable, which is cancelled when the client leaves. ClientDisconnect: it has left."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _events(answers: Answers, writer: Writer) -> AsyncIterator[bytes]:
    yield writer.begin()
    async for index, piece in answers:
        if chunk := writer.push(index, piece):
            yield chunk
    yield writer.end()


def _error_body(error: Exception) -> dict:
    """The error object of an exception. One that is the server's fault goes to the log in full."""
    answer = api_error(error)
    if answer.status == 500:
        log.error("a request failed", exc_info=error)
    return answer.body()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
