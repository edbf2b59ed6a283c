"""POST /v1/chat/completions: OpenAI's chat with Moonshot's, vLLM's and llama.cpp's additions."""

import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from ..config.field import Door
from ..config.parameters import chat_options
from ..llm import ChatCompletion, Piece
from ..llm.openai import TokenBytes, chat_logprobs, deltas
from .answers import Call
from .fields import Items, Message, Tool, body_at
from .reply import timings, usage_body
from .sse import DONE, event


class ChatBody(body_at(Door.CHAT)):
    """A chat request. Messages, tools, tool_choice and response_format are looked at where they are used."""

    messages: Items[Message] = Field(min_length=1)
    tools: Items[Tool] | None = None

    def call(self) -> Call:
        """The request as the model takes it."""
        return Call(self.messages, chat_options(self.given()), self.n)


class ChatWriter:
    """Chat completions, whole or as chunks."""

    def __init__(self, answer_id: str, model: str, fingerprint: str, body: ChatBody, token_bytes: TokenBytes):
        self._head = {"id": answer_id, "created": int(time.time()), "model": model, "system_fingerprint": fingerprint}
        self._body, self._token_bytes = body, token_bytes
        self._usages: dict[int, Any] = {}
        self._started_s = time.monotonic()

    def begin(self) -> bytes:
        role = {"role": "assistant", "content": ""}
        return b"".join(self._chunk(i, role) for i in range(self._body.n))

    def push(self, index: int, piece: Piece) -> bytes:
        if piece.prompt_progress is not None:
            return self._progress(piece) if self._body.return_progress else b""
        out = b"".join(
            self._chunk(index, delta, piece.logprobs if "content" in delta else ()) for delta in deltas(piece)
        )
        if piece.finish_reason is None:
            return out
        self._usages[index] = piece.usage
        return out + self._chunk(index, {}, last=piece)

    def end(self) -> bytes:
        usage = b""
        if self._body.include_usage:
            total = usage_body([self._usages[i] for i in range(self._body.n)], self._body.n)
            usage = event(self._head | {"object": "chat.completion.chunk", "choices": [], "usage": total})
        return usage + DONE

    def failed(self, body: dict) -> bytes:
        return event(body)

    def whole(self, answers: list[ChatCompletion]) -> dict:
        choices = [
            {
                "index": i,
                "message": _message(turn),
                "logprobs": chat_logprobs(turn.logprobs, self._token_bytes),
                "finish_reason": turn.finish_reason,
            }
            for i, turn in enumerate(answers)
        ]
        usage, first = usage_body([turn.usage for turn in answers], self._body.n), answers[0]
        body = {"choices": choices, "usage": usage, "timings": timings(first.usage, first.timings)}
        warnings = [warning for turn in answers for warning in turn.warnings]
        return self._head | {"object": "chat.completion"} | body | ({"warnings": warnings} if warnings else {})

    def _chunk(self, index: int, delta: dict, logprobs: Sequence = (), last: Piece | None = None) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": chat_logprobs(logprobs, self._token_bytes),
            "finish_reason": None if last is None else last.finish_reason,
        }
        chunk = self._head | {"object": "chat.completion.chunk", "choices": [choice]}
        if self._body.include_usage:
            chunk["usage"] = None
        if last is not None:
            chunk["timings"] = timings(last.usage, last.timings)
            if last.warnings:
                chunk["warnings"] = list(last.warnings)
        return event(chunk)

    def _progress(self, piece: Piece) -> bytes:
        """llama.cpp's prompt_progress."""
        processed, total = piece.prompt_progress
        progress = {
            "total": total,
            "cache": piece.prompt_cached,
            "processed": processed,
            "time_ms": round((time.monotonic() - self._started_s) * 1e3),
        }
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}
        head = self._head | {"object": "chat.completion.chunk"}
        return event(head | {"choices": [choice], "prompt_progress": progress})


def _message(turn: ChatCompletion) -> dict:
    """The turn in OpenAI's shape: content is null only beside calls."""
    message = {"refusal": None} | turn.message()
    if message["content"] is None and not turn.tool_calls:
        message["content"] = ""
    return message
