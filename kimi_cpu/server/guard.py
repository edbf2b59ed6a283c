"""The guard in front of every request: who asks (Host, Origin, key), how much is sent, and how fast it is sent and
read."""

import asyncio
import hmac
import ipaddress
import resource
import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import h11
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .errors import ApiError
from .settings import LOOPBACK_NAMES, Settings

OPEN_PATHS = ("/", "/favicon.ico", "/health", "/v1/health")  # tell a stranger nothing; the page asks for the key
OPEN_PREFIX = "/page/"
AGENT_PREFIX = "/v1/agent"
AGENT_TOKEN = "x-agent-token"
MAX_HELD = 8  # bodies of the largest size, of requests that are being served
MIN_RATE = 500  # bytes a second; Apache's mod_reqtimeout: body=20,MinRate=500
LINGER_S, LINGER_GAP_S = 30.0, 5.0  # nginx's lingering_time and lingering_timeout
LINGER_BYTES = 1 << 28


class Guard:
    """ASGI middleware that refuses requests before their bodies are read, and bodies that are too long or too slow."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app, self._settings = app, settings
        self._hosts = {name.lower() for name in (*LOOPBACK_NAMES, settings.host, *settings.hosts)}
        self._key = None if settings.api_key is None else settings.api_key.encode()
        self._held = Held(settings.max_body_bytes * MAX_HELD)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = GuardedBody(receive, headers, self._settings, self._held)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if not await body.is_whole_now():  # the rest of it is not the next request
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif not message.get("more_body") and not body.is_whole:
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            self._check(scope["path"], scope["method"], headers)
            await self._app(scope, body, sending)
        except ApiError as e:
            if started:
                raise
            await e.response()(scope, receive, sending)
        finally:
            body.release()

    def _check(self, path: str, method: str, headers: Headers) -> None:
        """Raises ApiError where the request is refused."""
        if "host" in headers or path not in OPEN_PATHS:  # browsers always name a host, HTTP/1.0's probes do not
            self._check_host(headers.get("host", ""))
        origin, host = headers.get("origin"), headers.get("host", "")
        is_agent = path.startswith(AGENT_PREFIX)
        if is_agent and origin and urlsplit(origin).netloc != host:  # for reading, too, whatever --cors-origin says
            raise ApiError(403, f"Pages of {origin} may not use the agent of this server.")
        if origin and method not in ("GET", "HEAD", "OPTIONS") and not self._is_own(origin, host):
            raise ApiError(403, f"Pages of {origin} may not use this server. Allow them with --cors-origin.")
        if not headers.get("content-length", "0").isdecimal():
            raise ApiError(400, "Content-Length is not a number.")
        if int(headers.get("content-length", "0")) > self._settings.max_body_bytes:
            raise too_large(self._settings.max_body_bytes)
        is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIX) or method == "OPTIONS"  # which never has the key
        if self._key is not None and not is_open:
            _check_key(self._key, headers)
        if is_agent and self._settings.mcp is not None:
            _check_token(self._settings.agent_token, headers)

    def _check_host(self, host: str) -> None:
        """Refuses unknown hosts: a page of a site whose name was made to point here (DNS rebinding) sends that name."""
        name = _name_of(host)
        if name in self._hosts or name.endswith(".localhost") or _is_address(name):
            return
        raise ApiError(403, f"This server is not reached as {host!r}. Allow the name with --allow-host.", code="host")

    def _is_own(self, origin: str, host: str) -> bool:
        return origin in self._settings.origins or "*" in self._settings.origins or urlsplit(origin).netloc == host


class GuardedBody:
    """ASGI's receive of one request, within limits. ApiError: the body grows too long, comes too slowly, or there are
    too many bodies."""

    def __init__(self, receive: Receive, headers: Headers, settings: Settings, held: "Held"):
        self._receive, self._held = receive, held
        self._max_bytes, self._slow_s = settings.max_body_bytes, settings.slow_s
        self.is_whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._is_asked_for = headers.get("expect", "").lower() != "100-continue"  # else it comes when it is read first
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
        """Gives the body's bytes back; the request is served."""
        self._held.remove(self._num_bytes)
        self._num_bytes = 0

    async def is_whole_now(self) -> bool:
        """Whether all of the body has come. Bytes that have come and were not read are discarded."""
        await self._discard(0.0)
        return self.is_whole

    async def linger(self) -> None:
        """Discards for a while what the client still sends: to close the connection on it would destroy the answer
        too."""
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


class Held:
    """Counts the bytes of all bodies that the server holds."""

    def __init__(self, most: int):
        self._most, self._num_bytes = most, 0

    def add(self, num_bytes: int) -> None:
        """Counts more bytes. ApiError 429: they would be too many."""
        if self._num_bytes + num_bytes > self._most:
            message = "Too many large requests are being served. Try again in a few seconds."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": "5"})
        self._num_bytes += num_bytes

    def remove(self, num_bytes: int) -> None:
        """Counts bytes that are held no more."""
        self._num_bytes -= num_bytes


class Connection(H11Protocol):
    """uvicorn's TCP connection, with limits of time for the head of a request and for a client that reads an answer;
    those for bodies are GuardedBody's. Where there are too many connections, the one that has waited longest for its
    client makes room."""

    def __init__(self, *args: Any, settings: Settings, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._slow_s, self._stall_s = settings.slow_s, settings.stall_s
        self._max_connections = settings.max_connections

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        # Else an answer's body waits until the client has acknowledged its head, which Linux delays by 40 ms. asyncio
        # sets this only for sockets that name their protocol, which those of socket.create_server do not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(
            high=0
        )  # pause_writing at the first byte that the client does not read at once
        self._head_timer = self.loop.call_later(self._slow_s, self._head_is_late)
        self._stall_timer: asyncio.TimerHandle | None = None
        self._idle_since_s = time.monotonic()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_awaited = self.conn.their_state is h11.IDLE
        if is_awaited and self.conn.trailing_data[0] and self._head_timer is None:
            self._head_timer = self.loop.call_later(self._slow_s, self._head_is_late)
        elif not is_awaited and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        self._idle_since_s = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _watch(self, num_bytes: int) -> None:
        """Checks again after stall_s that the client has read enough of num_bytes."""
        self._stall_timer = self.loop.call_later(self._stall_s, self._ensure_reads, num_bytes)

    def _ensure_reads(self, before: int) -> None:
        now = self.transport.get_write_buffer_size()
        if before - now < MIN_RATE * self._stall_s:
            self.transport.abort()  # close() would wait for the client
        else:
            self._watch(now)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:  # a browser that connects ahead of time would take this as the next answer
            body = ApiError(408, f"The head of the request did not come within {self._slow_s:g} s.").response().body
            head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _make_room(self) -> None:
        """Closes a connection when there are too many: the one that has waited longest for its client."""
        num_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = self._max_connections
        if len(self.connections) > (most if num_files == resource.RLIM_INFINITY else min(most, num_files // 2)):
            waiting = [c for c in self.connections if isinstance(c, Connection) and c._waits_for_client()]
            min(waiting, key=lambda c: c._idle_since_s).transport.abort()

    def _waits_for_client(self) -> bool:
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body


def too_large(max_bytes: int) -> ApiError:
    """The answer 413 to a body that is too large."""
    return ApiError(413, f"The body is larger than {max_bytes:,} bytes.")


def _check_key(key: bytes, headers: Headers) -> None:
    """Raises ApiError where a request does not have the key."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    keys = [bearer.strip() if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")]
    # Compares the bytes that came. Anthropic's clients send both headers, of which one may be for another server.
    if not any(hmac.compare_digest(sent.encode("latin-1"), key) for sent in keys):
        what = "is wrong" if any(keys) else "is missing; send it as Authorization: Bearer KEY"
        raise ApiError(401, f"The API key {what}.", code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _check_token(token: str, headers: Headers) -> None:
    """Raises ApiError where a request for the agent does not have its token. A header of its own: no page of another
    origin can send one, and whoever has the key of the model may not run tools with it."""
    if not hmac.compare_digest(headers.get(AGENT_TOKEN, "").encode("latin-1"), token.encode()):
        message = "The agent needs its token: open the page by the link that the server printed when it started."
        raise ApiError(401, message, code="agent_token")


def _name_of(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit("//" + host).hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
