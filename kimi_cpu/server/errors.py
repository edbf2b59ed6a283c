"""The answer to a client when something fails: OpenAI's error object, with the right status."""

import logging
from collections.abc import Mapping

from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import ValidationError
from starlette.responses import JSONResponse

from ..errors import (
    ContextOverflow,
    EngineDeadError,
    EngineStartingError,
    KimiError,
    OutOfMemory,
    RequestError,
    TemplateError,
    TokenizerError,
    bounded,
    shown,
)
from ..llm.parameters import well_formed

log = logging.getLogger("kimi_cpu.server")
TYPES = {  # status: error.type
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
}
MAX_MESSAGE, MAX_PARAM = 1000, 200  # characters
PROMPT_FIELDS = {"/v1/completions": "prompt", "/v1/responses": "input"}  # elsewhere it is messages
SHUTTING_DOWN = "The server is shutting down."
UNKNOWN_PARAMETER = "extra_forbidden"  # pydantic's name for it


class ApiError(HTTPException):
    """An error with its HTTP status. param: the request's field that is wrong; code: a name for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        message = bounded(well_formed(message), MAX_MESSAGE)
        super().__init__(status, message, headers)
        self.status, self.message, self.code = status, message, code
        self.param = None if param is None else bounded(well_formed(param), MAX_PARAM)

    def body(self) -> dict:
        """OpenAI's error object; `type` at its top is what Anthropic's clients look for as well."""
        error = {
            "message": self.message,
            "type": TYPES.get(self.status, "server_error"),
            "param": self.param,
            "code": self.code,
        }
        return {"type": "error", "error": error}

    def response(self) -> JSONResponse:
        """The error as a response."""
        return JSONResponse(self.body(), self.status, self.headers)


def api_error(error: BaseException, path: str = "") -> ApiError:
    """Any exception as the error that a client gets, which tells nothing of a fault of the server's own.
    path: that of the request, whose protocol has words of its own."""
    match error:
        case ApiError():
            return error
        case RequestValidationError() | ValidationError():
            return _of_validation(error)
        case ContextOverflow():
            return _of_overflow(error, path)
        case RequestError():
            return ApiError(400, str(error), param=error.param, code=error.code)
        case TemplateError() | TokenizerError():
            return ApiError(400, str(error))
        case EngineDeadError():
            return ApiError(503, str(error), code="engine_dead", headers={"Retry-After": "5"})
        case EngineStartingError():
            return ApiError(503, str(error), code="loading", headers={"Retry-After": "5"})
        case OutOfMemory():
            return ApiError(503, str(error), code="out_of_memory", headers={"Retry-After": "30"})
        case KimiError():
            return ApiError(500, str(error))
        case _:
            return ApiError(500, "The server failed; its log says why.")


def error_body(error: Exception) -> dict:
    """The error object of an exception. One that is the server's fault goes to the log in full."""
    answer = api_error(error)
    if answer.status == 500:
        log.error("a request failed", exc_info=error)
    return answer.body()


def _of_overflow(error: ContextOverflow, path: str) -> ApiError:
    """The error in the words by which clients know that they must shorten what they send."""
    message, param = str(error), PROMPT_FIELDS.get(path, "messages")
    if path == "/v1/messages" and error.num_tokens is not None:
        message = f"prompt is too long: {error.num_tokens} tokens > {error.most} maximum"
    return ApiError(400, message, param=param, code=error.code)


def _of_validation(error: RequestValidationError | ValidationError) -> ApiError:
    """The error of the first field that is wrong in a body."""
    first = error.errors()[0]
    where = [part for part in first["loc"] if part != "body"]
    param = ".".join(map(str, where)) or None
    if first["type"] == UNKNOWN_PARAMETER:
        message = f"Unknown parameter {shown(param)}: it is refused, because ignoring it could change the answer."
        return ApiError(400, message, param=param, code="unknown_parameter")
    if first["type"] == "value_error":  # a sentence of ours
        message = first["msg"].removeprefix("Value error, ")
        return ApiError(400, message, param=param or message.partition(" ")[0])
    if param is None:
        return ApiError(400, "The body must be a JSON object, with Content-Type: application/json.")
    return ApiError(400, f"{param}: {first['msg'][:1].lower()}{first['msg'][1:]}.", param=param)
