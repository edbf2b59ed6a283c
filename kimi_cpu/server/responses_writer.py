"""Responses as they are written: output items, whole or as events."""

import time
from collections.abc import Sequence

from ..llm import ChatCompletion, Piece, Usage
from ..llm.openai import TokenBytes, TokenLogprob, chat_logprobs
from .reply import new_id
from .responses import ResponsesBody
from .sse import event


class ResponsesWriter:
    """One response: a reasoning item, a message, function calls."""

    def __init__(self, answer_id: str, model: str, body: ResponsesBody, token_bytes: TokenBytes):
        self._id, self._model, self._body, self._token_bytes = answer_id, model, body, token_bytes
        self._created = int(time.time())
        self._number = 0  # of the next event
        self._items: list[dict] = []  # those that are done, and last the one that is open
        self._is_open = False

    def begin(self) -> bytes:
        response = self._response("in_progress", None)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def push(self, index: int, piece: Piece) -> bytes:
        out = b""
        if piece.reasoning_content:
            out += self._text(piece.reasoning_content, "reasoning")
        if piece.content:
            out += self._text(piece.content, "message", piece.logprobs)
        for call in piece.tool_calls:
            if "id" in call:
                out += self._begin(_call_item(call["id"], call["function"]["name"], "", "in_progress"))
            if arguments := call["function"].get("arguments"):
                self._items[-1]["arguments"] += arguments
                out += self._event("response.function_call_arguments.delta", **self._place(), delta=arguments)
        if piece.finish_reason is not None:
            out += self._end() + self._last(piece)
        return out

    def end(self) -> bytes:
        return b""

    def failed(self, body: dict) -> bytes:
        error = {k: body["error"][k] for k in ("code", "message", "param")}
        return self._event("error", **error)

    def whole(self, answers: list[ChatCompletion]) -> dict:
        (turn,) = answers
        if turn.reasoning_content:
            self._items.append(_item("reasoning", turn.reasoning_content, "completed"))
        if turn.content:
            self._items.append(_item("message", turn.content, "completed", self._logprobs(turn.logprobs)))
        for call in turn.tool_calls:
            function = call["function"]
            self._items.append(_call_item(call["id"], function["name"], function["arguments"], "completed"))
        return self._response(_status(turn.finish_reason), turn.usage)

    def _last(self, piece: Piece) -> bytes:
        status = _status(piece.finish_reason)
        return self._event(f"response.{status}", response=self._response(status, piece.usage))

    def _logprobs(self, logprobs: Sequence[TokenLogprob]) -> list[dict]:
        told = chat_logprobs(logprobs, self._token_bytes)
        return [] if told is None else told["content"]

    def _text(self, text: str, kind: str, logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        """Text of a reasoning or message item, which is begun if it is not the open one."""
        out = b""
        if not self._is_open or self._items[-1]["type"] != kind:
            item = _item(kind, "", "in_progress")
            out = self._begin(item | {"content": []})
            self._items[-1] = item
            out += self._event("response.content_part.added", **self._place(), content_index=0, part=item["content"][0])
        part = self._items[-1]["content"][0]
        part["text"] += text
        extra = {}
        if kind == "message":
            extra["logprobs"] = self._logprobs(logprobs)
            part["logprobs"] += extra["logprobs"]
        name = "response.output_text.delta" if kind == "message" else "response.reasoning_text.delta"
        return out + self._event(name, **self._place(), content_index=0, delta=text, **extra)

    def _begin(self, item: dict) -> bytes:
        out = self._end()
        self._items.append(item)
        self._is_open = True
        return out + self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _end(self) -> bytes:
        """The open item is done."""
        if not self._is_open:
            return b""
        self._is_open = False
        item, place = self._items[-1], self._place()
        item["status"] = "completed"
        if item["type"] == "function_call":
            named = {"name": item["name"], "arguments": item["arguments"]}
            out = self._event("response.function_call_arguments.done", **place, **named)
        else:
            part = item["content"][0]
            is_text = item["type"] == "message"
            name = "response.output_text.done" if is_text else "response.reasoning_text.done"
            extra = {"logprobs": part["logprobs"]} if is_text else {}
            out = self._event(name, **place, content_index=0, text=part["text"], **extra)
            out += self._event("response.content_part.done", **place, content_index=0, part=part)
        return out + self._event("response.output_item.done", output_index=place["output_index"], item=item)

    def _place(self) -> dict:
        return {"item_id": self._items[-1]["id"], "output_index": len(self._items) - 1}

    def _event(self, event_type: str, /, **fields) -> bytes:
        self._number += 1
        return event({"type": event_type, "sequence_number": self._number - 1, **fields}, event_type)

    def _response(self, status: str, usage: Usage | None) -> dict:
        body = self._body
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_tokens,
            "metadata": body.metadata or {},
            "model": self._model,
            "output": list(self._items),
            "parallel_tool_calls": body.parallel_tool_calls,
            "previous_response_id": None,
            "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
            "store": False,
            "temperature": 1.0 if body.temperature is None else body.temperature,
            "text": {"format": body.text.format if body.text and body.text.format else {"type": "text"}},
            "tool_choice": body.tool_choice,
            "tools": body.tools or [],
            "top_logprobs": body.top_logprobs,
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "truncation": "disabled",
            "usage": None if usage is None else _usage(usage),
        }


def _status(finish_reason: str) -> str:
    return "incomplete" if finish_reason == "length" else "completed"


def _item(kind: str, text: str, status: str, logprobs: Sequence[dict] = ()) -> dict:
    """A reasoning item or a message."""
    if kind == "reasoning":
        content = [{"type": "reasoning_text", "text": text}]
        return {"id": new_id("rs_"), "type": kind, "status": status, "summary": [], "content": content}
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}]
    return {"id": new_id("msg_"), "type": kind, "status": status, "role": "assistant", "content": content}


def _call_item(call_id: str, name: str, arguments: str, status: str) -> dict:
    item = {"id": new_id("fc_"), "type": "function_call", "status": status}
    return item | {"call_id": call_id, "name": name, "arguments": arguments}


def _usage(usage: Usage) -> dict:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
