"""The application: routes, guard, errors, the page's files."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import KimiError
from .errors import ApiError, api_error
from .guard import Guard
from .routes import PAGE, router
from .service import Service, log

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
ERROR_RESPONSES = {
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
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    for kind in (ApiError, KimiError, RequestValidationError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, lambda request, e: Response(status_code=CLIENT_LEFT))
    app.add_exception_handler(Exception, _on_error)
    _describe(app)
    guarded: ASGIApp = Guard(HeadAsGet(app), service.settings)
    if service.settings.origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=service.settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
        )
    return SecurityHeaders(guarded)


class SecurityHeaders:
    """Puts on every answer what browsers need to be strict."""

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
        await self._app(scope | {"method": "GET"} if is_head else scope, receive, send)


async def _on_error(request: Request, error: Exception) -> Response:
    told = api_error(error, request.url.path)
    if told.status == 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return told.response()


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    """Starlette's own: no such path, or a method that the path does not have."""
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
    """Corrects the description: a wrong body is 400 here, not FastAPI's 422."""
    made = app.openapi

    def openapi() -> dict:
        if app.openapi_schema is None:
            description = made()
            for path in description["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            description["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            description["security"] = [{}, {"key": []}]
        return app.openapi_schema

    app.openapi = openapi
