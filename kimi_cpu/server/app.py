"""The HTTP application, and the server that runs it until it is told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ConfigError, KimiError
from ..llm import TextModel
from .errors import ApiError, api_error, log
from .guard import AGENT_PREFIX, Connection, Guard
from .routes import PAGE, router
from .service import Service
from .settings import Settings

BACKLOG = 2048  # uvicorn's own
KEEP_ALIVE_S = 75  # nginx's own; clients keep connections longer than uvicorn's 5 s
CLIENT_LEFT = 499  # nginx's status for it; nobody reads it
SECURITY_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": ERROR_SCHEMA}}}
    for status, text in (
        (400, "The request is wrong; error.param names the field."),
        (401, "The key is missing or wrong."),
        (403, "Host or Origin may not use this server."),
        (404, "There is no such thing."),
        (408, "The body came too slowly."),
        (413, "The body is too large."),
        (429, "The queue is full; Retry-After says when to try again."),
        (503, "The model is loading, or the engine has stopped."),
    )
}


def bind(settings: Settings) -> socket.socket:
    """A socket at the address of the settings; port 0 takes a free one. ConfigError: the address cannot be bound."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as e:
        reason = e.strerror or str(e)
        raise ConfigError(f"{settings.host} port {settings.port}: {reason}. Choose another --host or --port.") from e


def serve(load: Callable[[], TextModel], settings: Settings, listener: socket.socket) -> None:
    """Serves the model that load() makes, until SIGTERM, SIGHUP, or SIGINT, which raises KeyboardInterrupt.

    load runs on another thread while the server already answers; its exception ends the server and is raised here.
    """
    asyncio.run(_serve_until_signal(load, settings, listener))


async def _serve_until_signal(load: Callable[[], TextModel], settings: Settings, listener: socket.socket) -> None:
    loop, stop, received = asyncio.get_running_loop(), asyncio.Event(), []

    def on_signal(number: int) -> None:
        received.append(number)
        stop.set()

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as nohup wants it
    for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else [])):
        loop.add_signal_handler(number, on_signal, number)
    await run(load, settings, listener, stop)
    if received[:1] == [signal.SIGINT]:
        raise KeyboardInterrupt


async def run(load: Callable[[], TextModel], settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves until stop is set, or until the model cannot be loaded, whose exception is raised."""
    service = Service(load, settings)
    config = uvicorn.Config(
        create_app(service),
        http=cast(
            type[asyncio.Protocol], partial(Connection, settings=settings)
        ),  # uvicorn calls it as it would a class
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    loading = asyncio.create_task(service.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({loading, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done() and loading.exception() is None:
            keeping = asyncio.create_task(service.keep_alive())
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            keeping.cancel()
    finally:
        server.should_exit = True
        await service.stop()
        await serving
        stopping.cancel()
        loading.cancel()
    if loading.done() and not loading.cancelled():
        loading.result()


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, which are set by the program that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def create_app(service: Service) -> ASGIApp:
    """The ASGI application over a service."""
    app = FastAPI(
        title="kimi-cpu",
        description="Kimi K2 Thinking over HTTP.",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        responses=ERROR_RESPONSES,
    )
    app.state.service = service
    app.include_router(router)
    if service.agents is not None:
        from .agent_routes import agent_router  # its packages are needed for this alone

        app.include_router(agent_router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    for kind in (ApiError, KimiError, RequestValidationError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, lambda request, e: Response(status_code=CLIENT_LEFT))
    app.add_exception_handler(Exception, _on_fault)
    _describe(app)
    guarded: ASGIApp = Guard(HeadAsGet(app), service.settings)
    if service.settings.origins:
        guarded = OpenToOrigins(guarded, service.settings.origins)
    return SecurityHeaders(guarded)


class OpenToOrigins:
    """Lets pages of some origins use the API; not the agent, which runs tools."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]):
        self._closed = app
        self._open = CORSMiddleware(app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_agent = scope["type"] == "http" and scope["path"].startswith(AGENT_PREFIX)
        await (self._closed if is_agent else self._open)(scope, receive, send)


class SecurityHeaders:
    """Adds the headers that make browsers strict to every answer."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        await self._app(scope, receive, adding)


class HeadAsGet:
    """Answers HEAD as GET: the HTTP server below leaves the body out."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


async def _on_error(request: Request, error: Exception) -> Response:
    answer = api_error(error, request.url.path)
    if answer.status == 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer.response()


async def _on_fault(request: Request, error: Exception) -> Response:
    """Answers a fault of the server's own, after which uvicorn closes the connection: the client must not use it
    again."""
    response = await _on_error(request, error)
    response.headers["Connection"] = "close"
    return response


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answers Starlette's own errors: there is no such path, or it does not take the method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method == "OPTIONS":
        allowed = (error.headers or {}).get("Allow", "")
        methods = {"OPTIONS", *allowed.split(", ")} | ({"HEAD"} if "GET" in allowed else set())
        return Response(headers={"Allow": ", ".join(sorted(methods))})
    messages = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    message = messages.get(error.status_code, str(error.detail))
    return ApiError(error.status_code, message, headers=error.headers).response()


def _describe(app: FastAPI) -> None:
    """Corrects FastAPI's description: a wrong body is answered with 400, not 422."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        description = made()  # which FastAPI keeps
        for path in description["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        description["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{}, {"key": []}]
        return description

    app.openapi = openapi
