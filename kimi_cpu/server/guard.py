"""What stands before every request: who asks (Host, Origin, key), and how much (the body's size)."""

import asyncio
import hmac
import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError
from .settings import LOOPBACK_NAMES, Settings

OPEN_PATHS = ("/", "/favicon.ico", "/health", "/v1/health")  # of no use to a stranger; the page asks for the key itself
OPEN_PREFIX = "/page/"
LINGER_BYTES, LINGER_S = 1 << 20, 1.0  # of a body that is refused


class Guard:
    """ASGI middleware that refuses before anything is read, and cuts off bodies that are too long."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app, self._settings = app, settings
        self._hosts = {name.lower() for name in (*LOOPBACK_NAMES, settings.host, *settings.hosts)}
        self._key = None if settings.api_key is None else settings.api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._settings.max_body_bytes)
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            self._check(scope["path"], scope["method"], Headers(scope=scope))
            await self._app(scope, body, noting)
        except ApiError as e:
            if started:
                raise
            if e.status == 413:
                await _read_on(receive)
            await e.response()(scope, receive, send)

    def _check(self, path: str, method: str, headers: Headers) -> None:
        """ApiError: the request is refused."""
        if "host" in headers or path not in OPEN_PATHS:  # browsers always name a host, HTTP/1.0's probes do not
            self._check_host(headers.get("host", ""))
        origin = headers.get("origin")
        if origin and method not in ("GET", "HEAD", "OPTIONS") and not self._is_own(origin, headers.get("host", "")):
            raise ApiError(403, f"Pages of {origin} may not use this server. Allow them with --cors-origin.")
        if not headers.get("content-length", "0").isdecimal():
            raise ApiError(400, "Content-Length is not a number.")
        if int(headers.get("content-length", "0")) > self._settings.max_body_bytes:
            raise _too_large(self._settings.max_body_bytes)
        is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIX) or method == "OPTIONS"  # which never has the key
        if self._key is not None and not is_open:
            self._check_key(headers)

    def _check_host(self, host: str) -> None:
        """A page of another site that made its name point here (DNS rebinding) sends that name as Host."""
        name = _name_of(host)
        if name in self._hosts or name.endswith(".localhost") or _is_address(name):
            return
        raise ApiError(403, f"This server is not reached as {host!r}. Allow the name with --allow-host.", code="host")

    def _is_own(self, origin: str, host: str) -> bool:
        return origin in self._settings.origins or "*" in self._settings.origins or urlsplit(origin).netloc == host

    def _check_key(self, headers: Headers) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        keys = [bearer.strip() if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")]
        # The bytes that came. Clients of Anthropic's send both, of which one may be for somebody else.
        if not any(hmac.compare_digest(key.encode("latin-1"), self._key) for key in keys):
            what = "is wrong" if any(keys) else "is missing; send it as Authorization: Bearer KEY"
            raise ApiError(401, f"The API key {what}.", code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


class _Body:
    """A body that ends with an error where it grows too long; for those that come without a length."""

    def __init__(self, receive: Receive, max_bytes: int):
        self._receive, self._max_bytes, self._num_bytes = receive, max_bytes, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        return message


async def _read_on(receive: Receive) -> None:
    """Discards what a client still sends, for a while: a connection closed on it would take the answer away, too."""
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while left > 0:
                message = await receive()
                if not message.get("more_body"):
                    return
                left -= len(message.get("body", b""))


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"The body is larger than {max_bytes:,} bytes.", headers={"Connection": "close"})


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
