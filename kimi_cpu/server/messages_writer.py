"""Anthropic's messages as they are written: content blocks, whole or as events."""

import base64
import hashlib
import json

from ..llm import ChatCompletion, Piece, Usage
from .sse import event

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
THINKING, TEXT, TOOL = "thinking", "text", "tool_use"


class MessagesWriter:
    """One message: thinking, text and tool_use blocks in the order in which they come."""

    def __init__(self, answer_id: str, model: str, shows_thinking: bool = True):
        """shows_thinking: False leaves the thinking blocks' text empty."""
        self._id, self._model, self._shows_thinking = answer_id, model, shows_thinking
        self._is_started = False
        self._open: str | None = None  # kind of the block that is open
        self._thoughts = hashlib.sha256()  # of the thinking block that is open
        self._num_blocks = 0

    def begin(self) -> bytes:
        return b""  # the message starts with its usage, which the first piece knows

    def push(self, index: int, piece: Piece) -> bytes:
        out = b"" if self._is_started else self._start(piece)
        if piece.reasoning_content:
            out += self._begin(THINKING, {"type": THINKING, "thinking": "", "signature": ""})
            self._thoughts.update(piece.reasoning_content.encode())
            if self._shows_thinking:
                out += self._delta({"type": "thinking_delta", "thinking": piece.reasoning_content})
        if piece.content:
            out += self._begin(TEXT, {"type": TEXT, "text": ""})
            out += self._delta({"type": "text_delta", "text": piece.content})
        for call in piece.tool_calls:
            if "id" in call:
                block = {"type": TOOL, "id": call["id"], "name": call["function"]["name"], "input": {}}
                out += self._end() + self._begin(TOOL, block)
            if arguments := call["function"].get("arguments"):
                out += self._delta({"type": "input_json_delta", "partial_json": arguments})
        if piece.finish_reason is not None:
            out += self._end()
            body = {"type": "message_delta", "delta": _stop(piece), "usage": _usage(piece.usage)}
            out += event(body, "message_delta")
        return out

    def end(self) -> bytes:
        return event({"type": "message_stop"}, "message_stop")

    def failed(self, body: dict) -> bytes:
        return event(body, "error")

    def whole(self, answers: list[ChatCompletion]) -> dict:
        (turn,) = answers
        blocks = []
        if turn.reasoning_content:
            text = turn.reasoning_content if self._shows_thinking else ""
            signature = _signature(hashlib.sha256(turn.reasoning_content.encode()))
            blocks.append({"type": THINKING, "thinking": text, "signature": signature})
        if turn.content:
            blocks.append({"type": TEXT, "text": turn.content})
        for call in turn.tool_calls:
            name, arguments = call["function"]["name"], _object(call["function"]["arguments"])
            blocks.append({"type": TOOL, "id": call["id"], "name": name, "input": arguments})
        return self._message(blocks, _stop(turn), turn.usage)

    def _start(self, first: Piece) -> bytes:
        self._is_started = True
        usage = Usage(first.prompt_tokens, 0, first.prompt_cached)
        message = self._message([], {"stop_reason": None, "stop_sequence": None}, usage)
        return event({"type": "message_start", "message": message}, "message_start")

    def _message(self, content: list[dict], stop: dict, usage: Usage) -> dict:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            **stop,
            "usage": _usage(usage),
        }

    def _begin(self, kind: str, block: dict) -> bytes:
        if self._open == kind:
            return b""
        out = self._end()
        self._open = kind
        body = {"type": "content_block_start", "index": self._num_blocks, "content_block": block}
        return out + event(body, "content_block_start")

    def _delta(self, delta: dict) -> bytes:
        body = {"type": "content_block_delta", "index": self._num_blocks, "delta": delta}
        return event(body, "content_block_delta")

    def _end(self) -> bytes:
        if self._open is None:
            return b""
        out = b""
        if self._open == THINKING:
            out = self._delta({"type": "signature_delta", "signature": _signature(self._thoughts)})
            self._thoughts = hashlib.sha256()
        self._open = None
        self._num_blocks += 1
        return out + event({"type": "content_block_stop", "index": self._num_blocks - 1}, "content_block_stop")


def _stop(last: Piece | ChatCompletion) -> dict:
    """Why the message ended."""
    reason = STOP_REASONS[last.finish_reason] if last.stop_text is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": last.stop_text}


def _signature(thoughts: "hashlib._Hash") -> str:
    """What clients carry beside a thinking block; nothing here reads it."""
    return base64.b64encode(thoughts.digest()).decode()


def _usage(usage: Usage) -> dict:
    """Anthropic counts what was found computed apart from what was not."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _object(arguments: str) -> dict:
    """Arguments as an object; {} where the model wrote none, as at a length limit."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
