"""Streams of server-sent events, and what waits for an answer while its client may leave."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Result = TypeVar("Result")


def event(data: object, name: str | None = None) -> bytes:
    """A server-sent event with a JSON value."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode(errors="replace")


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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
