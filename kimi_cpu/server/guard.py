"""What stands before every request: who asks (Host, Origin, key), and how much (the body's size)."""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError
from .guarded_body import GuardedBody, Held, too_large
from .settings import LOOPBACK_NAMES, Settings

OPEN_PATHS = ("/", "/favicon.ico", "/health", "/v1/health")  # of no use to a stranger; the page asks for the key itself
OPEN_PREFIX = "/page/"
MAX_HELD = 8  # bodies of the largest size, of requests that are being served


class Guard:
    """ASGI middleware that refuses before anything is read, and cuts off bodies that are too long or too slow."""

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
                if not await body.is_whole_now():  # what comes of it yet is no request
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif not message.get("more_body") and not body.is_whole:
                await send(message | {"more_body": True})
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
        """ApiError: the request is refused."""
        if "host" in headers or path not in OPEN_PATHS:  # browsers always name a host, HTTP/1.0's probes do not
            self._check_host(headers.get("host", ""))
        origin = headers.get("origin")
        if origin and method not in ("GET", "HEAD", "OPTIONS") and not self._is_own(origin, headers.get("host", "")):
            raise ApiError(403, f"Pages of {origin} may not use this server. Allow them with --cors-origin.")
        if not headers.get("content-length", "0").isdecimal():
            raise ApiError(400, "Content-Length is not a number.")
        if int(headers.get("content-length", "0")) > self._settings.max_body_bytes:
            raise too_large(self._settings.max_body_bytes)
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
