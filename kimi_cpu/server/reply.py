"""From a checked request to its answer, whole or as a stream; the same for all protocols."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..llm import ChatCompletion, Completion, Piece, Timings, Usage
from ..llm.openai import usage_object
from ..llm.results import total_usage
from .answers import Answers, Call
from .errors import api_error
from .service import Service, log
from .sse import EventStream, until_disconnect


class Writer(Protocol):
    """How one protocol writes answers."""

    def begin(self) -> bytes:
        """Events before the first piece."""

    def push(self, index: int, piece: Piece) -> bytes:
        """Events of one piece; may be empty."""

    def end(self) -> bytes:
        """Events after the last piece."""

    def failed(self, body: dict) -> bytes:
        """The last event of a stream that failed. body: the error object."""

    def whole(self, answers: list[ChatCompletion | Completion]) -> dict:
        """The body of an answer that is not streamed."""


async def reply(
    request: Request, service: Service, answer_id: str, calls: Sequence[Call], writer: Writer, stream: bool
) -> Response:
    """Runs the calls and answers the request."""
    answers = await until_disconnect(service.ask(answer_id, calls), request.receive)
    if stream:
        return EventStream(
            _events(answers, writer),
            service.settings.ping_s,
            lambda e: writer.failed(_told(e)),
            answers.close,
        )
    try:
        whole = await until_disconnect(answers.whole(), request.receive)
        return await asyncio.to_thread(lambda: JSONResponse(writer.whole(whole)))
    finally:
        answers.close()


def new_id(prefix: str) -> str:
    """A name for an answer that no other has."""
    return f"{prefix}{secrets.token_hex(12)}"


async def _events(answers: Answers, writer: Writer) -> AsyncIterator[bytes]:
    yield writer.begin()
    async for index, piece in answers:
        if chunk := writer.push(index, piece):
            yield chunk
    yield writer.end()


def _told(error: Exception) -> dict:
    """The error object of an exception; what is our fault goes to the log in full."""
    told = api_error(error)
    if told.status == 500:
        log.error("a request failed", exc_info=error)
    return told.body()


def usage_body(usages: Sequence[Usage], n: int) -> dict:
    """OpenAI's usage of a request with n answers to each prompt, prompt by prompt."""
    total = total_usage(usages, n)
    return usage_object(total) | {"cached_tokens": total.cached_tokens}  # Moonshot's place for it


def timings(usage: Usage, times: Timings) -> dict:
    """llama.cpp's timings. The first token comes with the prompt, so the rate counts those after it."""
    prompt_n, predicted_n = usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": prompt_n,
        "prompt_ms": round(times.prefill_s * 1e3, 3),
        "prompt_per_second": round(prompt_n / times.prefill_s, 3) if times.prefill_s else 0.0,
        "predicted_n": predicted_n,
        "predicted_ms": round(times.decode_s * 1e3, 3),
        "predicted_per_second": round(max(predicted_n - 1, 0) / times.decode_s, 3) if times.decode_s else 0.0,
    }
