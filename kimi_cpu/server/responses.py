"""POST /v1/responses: OpenAI's newer API, without a store: every request carries its whole conversation, and answers
are output items, whole or as events."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..config.field import Door, refuse_unknown
from ..config.fields import MAX_LOGPROBS
from ..config.parameters import answer_schema, letters, think_keywords
from ..errors import RequestError, shown
from ..llm import ChatCompletion, Piece, Usage
from ..llm.openai import TokenBytes, TokenLogprob, chat_logprobs
from .answers import Question
from .body import TEXT, TEXT_OR_PARTS, Body, Effort, Items, body_at, described, text_of
from .events import event
from .reply import new_id

TEXT_PARTS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
}  # type -> its key
ROLES = ("user", "system", "developer")
ITEM_KEYS = {  # type of an item: its keys besides id and type
    "message": {"role", "content", "status", "phase"},
    "reasoning": {"summary", "content", "encrypted_content", "status"},
    "function_call": {"call_id", "name", "arguments", "status", "parsed_arguments"},
    "function_call_output": {"call_id", "output", "status"},
}
MAX_METADATA = 16  # OpenAI's
PART_KEYS = {"type", "text", "refusal", "annotations", "logprobs", "parsed", "cache_control"}
TOOL_KEYS = {"type", "name", "description", "parameters", "strict", "cache_control"}
ResponsesItem = Annotated[
    dict[str, Any],
    described({}, type=TEXT, role=TEXT, content=TEXT_OR_PARTS, call_id=TEXT, output=TEXT, arguments=TEXT, name=TEXT),
]
ResponsesTool = Annotated[
    dict[str, Any], described({"type": {"const": "function"}, "name": TEXT}, parameters={"type": "object"})
]


class Reasoning(Body):
    """A thinking budget by name."""

    fixed: ClassVar = {"generate_summary": ("auto",), "summary": ("auto", "concise", "detailed")}

    effort: Effort | None = None


class TextOptions(Body):
    """The answer's form."""

    fixed: ClassVar = {"verbosity": ("medium",)}

    format: dict[str, Any] | None = None


def _few(pairs: Any) -> Any:
    """The pairs of metadata. ValueError: there are too many."""
    if isinstance(pairs, dict) and len(pairs) > MAX_METADATA:
        raise ValueError(f"metadata has {len(pairs):,} pairs; it may have {MAX_METADATA}.")
    return pairs


class ResponsesBody(body_at(Door.RESPONSES)):
    """A request of the Responses API."""

    fixed: ClassVar = {
        "background": (False,),
        "truncation": ("disabled",),
        "stream_options": ({}, {"include_obfuscation": False}),
    }

    input: str | Items[ResponsesItem]
    include: Items[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] = []
    instructions: str | None = None
    metadata: Annotated[dict[str, str], BeforeValidator(_few)] | None = None
    top_logprobs: int = Field(0, ge=0, le=MAX_LOGPROBS)
    tools: Items[ResponsesTool] | None = None
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    stream: bool = False
    previous_response_id: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.input in ("", []):
            raise ValueError("input is empty; there is nothing to answer.")
        if self.previous_response_id is not None:
            raise ValueError(
                "previous_response_id is not supported: nothing is stored. Send the whole conversation as input."
            )
        return self

    def question(self) -> Question:
        """The request for the model."""
        effort = None if self.reasoning is None else self.reasoning.effort
        options = self.given() | think_keywords({"reasoning_effort": effort})
        if self.tools:
            options["tools"] = [_function(tool, f"tools[{i}]") for i, tool in enumerate(self.tools)]
        if "tool_choice" in options:
            options["tool_choice"] = _choice(self.tool_choice)
        form = None if self.text is None else self.text.format
        if form is not None and answer_schema(form, "text.format", flat=True) is not None:
            options["response_format"] = _format(form)
        if self.has_logprobs:
            options["logprobs"] = self.top_logprobs
        return Question(self.conversation(), options)

    @property
    def has_logprobs(self) -> bool:
        """Whether the text's log-probabilities are wanted."""
        return self.top_logprobs > 0 or "message.output_text.logprobs" in self.include

    def conversation(self) -> list[dict]:
        """OpenAI's chat messages. RequestError: an item that the model cannot read."""
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        if isinstance(self.input, str):
            return [*messages, {"role": "user", "content": self.input}]
        turn: dict | None = None  # the assistant's turn that items are added to
        called: set[str] = {""}  # ids of calls; a result without one is that of the first call that waits
        for i, item in enumerate(self.input):
            where = f"input[{i}]"
            kind = item.get("type") or "message"
            if isinstance(kind, str) and kind in ITEM_KEYS:
                refuse_unknown(item, ITEM_KEYS[kind] | {"id", "type"}, where)
            if kind in ("reasoning", "function_call") or (kind == "message" and item.get("role") == "assistant"):
                if turn is None or (kind == "reasoning" and turn["content"]):
                    turn = {"role": "assistant", "content": [], "reasoning_content": []}
                    messages.append(turn)
                _add(turn, item, kind, where)
                if kind == "function_call":
                    called.add(letters(turn["tool_calls"][-1]["id"] or ""))
                continue
            turn = None
            messages.append(_message(item, kind, where))
            call_id = messages[-1].get("tool_call_id")
            if letters(call_id or "") not in called:
                raise RequestError(f"{where}.call_id is {shown(call_id)}, which is the id of no call before it.")
        return [_whole(message) if message["role"] == "assistant" else message for message in messages]


class ResponsesWriter:
    """Writes one response: a reasoning item, a message, function calls."""

    def __init__(self, answer_id: str, model: str, body: ResponsesBody, token_bytes: TokenBytes):
        self._id, self._model, self._body, self._token_bytes = answer_id, model, body, token_bytes
        self._created = int(time.time())
        self._number = 0  # of the next event
        self._items: list[dict] = []  # the last may be open, the others are done
        self._is_open = False

    def begin(self) -> bytes:
        response = self._response("in_progress", None, None)
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
        return self._response(*_status(turn), turn.usage)

    def _last(self, piece: Piece) -> bytes:
        status, why = _status(piece)
        return self._event(f"response.{status}", response=self._response(status, why, piece.usage))

    def _logprobs(self, logprobs: Sequence[TokenLogprob]) -> list[dict]:
        found = chat_logprobs(logprobs, self._token_bytes)
        return [] if found is None else found["content"]

    def _text(self, text: str, kind: str, logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        """Adds text to a reasoning or message item, which is begun unless it is open."""
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
        """Begins an item."""
        out = self._end()
        self._items.append(item)
        self._is_open = True
        return out + self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _end(self) -> bytes:
        """Ends the item that is open, if one is."""
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
        """The fields that name the last item."""
        return {"item_id": self._items[-1]["id"], "output_index": len(self._items) - 1}

    def _event(self, event_type: str, /, **fields: Any) -> bytes:
        self._number += 1
        return event({"type": event_type, "sequence_number": self._number - 1, **fields}, event_type)

    def _response(self, status: str, why: dict | None, usage: Usage | None) -> dict:
        """why: the details of an incomplete one."""
        body = self._body
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": why,
            "instructions": body.instructions,
            "max_output_tokens": body.max_tokens,
            "metadata": body.metadata or {},
            "model": self._model,
            "output": list(self._items),
            "parallel_tool_calls": body.parallel_tool_calls,
            "previous_response_id": None,
            "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
            "store": False,
            "temperature": body.temperature,
            "text": {"format": body.text.format if body.text and body.text.format else {"type": "text"}},
            "tool_choice": body.tool_choice,
            "tools": body.tools or [],
            "top_logprobs": body.top_logprobs,
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "truncation": "disabled",
            "usage": None if usage is None else _usage(usage),
        }


def _add(turn: dict, item: dict, kind: str, where: str) -> None:
    """Adds an item to an assistant's turn, whose texts are lists of their parts."""
    if kind == "message":
        turn["content"] += filter(None, [_text(item.get("content"), f"{where}.content")])
    elif kind == "reasoning":
        turn["reasoning_content"] += filter(None, [_thoughts(item, where)])
    else:
        function = {name: text_of(item.get(name), f"{where}.{name}") for name in ("name", "arguments")}
        call = {"id": _call_id(item, where), "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)


def _whole(turn: dict) -> dict:
    """The turn with its texts joined."""
    reasoning = "".join(turn.pop("reasoning_content"))
    return turn | {"content": "".join(turn["content"])} | ({"reasoning_content": reasoning} if reasoning else {})


def _thoughts(item: dict, where: str) -> str:
    """The text of a reasoning item: its content, or else its summary."""
    texts = {}
    for name in ("content", "summary"):
        parts = item.get(name) or []
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise RequestError(f"{where}.{name} is no list of parts.")
        texts[name] = "".join(text_of(part.get("text"), f"{where}.{name}[{i}].text") for i, part in enumerate(parts))
    return texts["content"] or texts["summary"]


def _call_id(item: dict, where: str) -> str | None:
    call_id = item.get("call_id")
    return None if call_id is None else text_of(call_id, f"{where}.call_id")


def _message(item: dict, kind: str, where: str) -> dict:
    """An item that is a message of its own."""
    if kind == "function_call_output":
        content = _text(item.get("output"), f"{where}.output")
        return {"role": "tool", "tool_call_id": _call_id(item, where), "content": content}
    if kind != "message":
        raise RequestError(f"{where} is of type {shown(kind)}, but only messages, reasoning and functions can be read.")
    if item.get("role") not in ROLES:
        raise RequestError(f"{where}.role is {shown(item.get('role'))}; it must be assistant or {', '.join(ROLES)}.")
    return {"role": item["role"], "content": _text(item.get("content"), f"{where}.content")}


def _text(content: object, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(f"{where} is neither a text nor a list of parts.")
    texts = []
    for i, part in enumerate(content):
        kind = (part.get("type") or "text") if isinstance(part, dict) else None
        text = part.get(TEXT_PARTS[kind]) if isinstance(kind, str) and kind in TEXT_PARTS else None
        if not isinstance(text, str):
            raise RequestError(f"{where}[{i}] is of type {shown(kind)}, but only text can be read.")
        refuse_unknown(part, PART_KEYS, f"{where}[{i}]")
        texts.append(text)
    return "".join(texts)


def _function(tool: dict, where: str) -> dict:
    """A tool of the Responses API as one of chat."""
    if tool.get("type") not in (None, "function"):
        raise RequestError(f"{where}.type is {shown(tool.get('type'))}; only functions can be called here.")
    refuse_unknown(tool, TOOL_KEYS, where)
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {k: tool[k] for k in names if tool.get(k) is not None}}


def _choice(choice: str | dict) -> str | dict:
    if isinstance(choice, str) or choice.get("type") == "allowed_tools":
        return choice
    if choice.get("type") != "function":
        raise RequestError(f"tool_choice.type is {shown(choice.get('type'))}; it must be function or allowed_tools.")
    return {"type": "function", "function": {"name": choice.get("name")}}


def _format(form: dict) -> dict:
    """text.format as response_format."""
    if form.get("type") != "json_schema":
        return form
    return {"type": "json_schema", "json_schema": {k: v for k, v in form.items() if k != "type"}}


def _status(last: Piece | ChatCompletion) -> tuple[str, dict | None]:
    """The status of a response that has ended, and the details of an incomplete one."""
    reason = "max_output_tokens" if last.finish_reason == "length" else last.stop_reason
    return ("completed", None) if reason is None else ("incomplete", {"reason": reason})


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
