"""The body of a request as it comes in: not too much of it, not too slowly, and not too much of all of them."""

import asyncio
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from .connection import MIN_RATE
from .errors import ApiError
from .settings import Settings

LINGER_S, LINGER_GAP_S = 30.0, 5.0  # nginx's lingering_time and lingering_timeout
LINGER_BYTES = 1 << 28


class Held:
    """Bytes of bodies that the server holds."""

    def __init__(self, most: int):
        self._most, self._num_bytes = most, 0

    def add(self, num_bytes: int) -> None:
        """ApiError 429: they would be too many."""
        if self._num_bytes + num_bytes > self._most:
            message = "Too many large requests are being served. Try again in a few seconds."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": "5"})
        self._num_bytes += num_bytes

    def remove(self, num_bytes: int) -> None:
        self._num_bytes -= num_bytes


class GuardedBody:
    """ASGI's receive of one request. ApiError: the body grows too long, comes too slowly, or there are too many."""

    def __init__(self, receive: Receive, headers: Headers, settings: Settings, held: Held):
        self._receive, self._held = receive, held
        self._max_bytes, self._slow_s = settings.max_body_bytes, settings.slow_s
        self.is_whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._is_asked_for = headers.get("expect", "").lower() != "100-continue"  # or else it comes when it is read
        self._is_slow = False
        self._num_bytes = 0
        self._began_s: float | None = None

    async def __call__(self) -> Message:
        if self.is_whole:
            return await self._receive()
        if self._began_s is None:
            self._began_s = time.monotonic()
        left_s = self._began_s + self._slow_s + self._num_bytes / MIN_RATE - time.monotonic()
        self._is_asked_for = True
        try:
            async with asyncio.timeout(left_s):
                message = await self._receive()
        except TimeoutError as e:
            self._is_slow = True
            raise ApiError(408, f"The body comes with less than {MIN_RATE} bytes a second.") from e
        num_bytes = len(message.get("body", b""))
        if self._num_bytes + num_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self._held.add(num_bytes)
        self._num_bytes += num_bytes
        self.is_whole = not message.get("more_body", False)
        return message

    def release(self) -> None:
        """The request is served."""
        self._held.remove(self._num_bytes)
        self._num_bytes = 0

    async def is_whole_now(self) -> bool:
        """Whether all of it has come; what has and was not read is discarded."""
        await self._discard(0.0)
        return self.is_whole

    async def linger(self) -> None:
        """Discards what the client still sends, for a while: a connection that is closed on it takes the answer too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._discard(LINGER_GAP_S)

    async def _discard(self, gap_s: float) -> None:
        left = LINGER_BYTES
        with suppress(TimeoutError):
            while self._is_asked_for and not self._is_slow and not self.is_whole and left > 0:
                async with asyncio.timeout(gap_s):
                    message = await self._receive()
                self.is_whole = not message.get("more_body", False)
                left -= len(message.get("body", b""))


def too_large(max_bytes: int) -> ApiError:
    """413."""
    return ApiError(413, f"The body is larger than {max_bytes:,} bytes.")
