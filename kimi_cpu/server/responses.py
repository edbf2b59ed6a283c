"""POST /v1/responses: OpenAI's newer shape, without a store: every request carries its whole conversation."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..config.field import Door, refuse_unknown
from ..config.fields import EFFORTS, MAX_LOGPROBS
from ..config.parameters import answer_schema, letters, think_options
from ..errors import RequestError, shown
from .answers import Call
from .fields import TEXT, TEXT_OR_PARTS, Body, Items, body_at, described, text_of

Item = described({}, type=TEXT, role=TEXT, content=TEXT_OR_PARTS, call_id=TEXT, output=TEXT, arguments=TEXT, name=TEXT)
ResponsesTool = described({"type": {"const": "function"}, "name": TEXT}, parameters={"type": "object"})
TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}  # type: its text's key
ROLES = ("user", "system", "developer")
ITEM_KEYS = {  # type: what an item has besides id and type
    "message": {"role", "content", "status", "phase"},
    "reasoning": {"summary", "content", "encrypted_content", "status"},
    "function_call": {"call_id", "name", "arguments", "status", "parsed_arguments"},
    "function_call_output": {"call_id", "output", "status"},
}
MAX_METADATA = 16  # OpenAI's
PART_KEYS = {"type", "text", "refusal", "annotations", "logprobs", "parsed", "cache_control"}
TOOL_KEYS = {"type", "name", "description", "parameters", "strict", "cache_control"}


class Reasoning(Body):
    """A thinking budget by name."""

    fixed: ClassVar = {"generate_summary": ("auto",), "summary": ("auto", "concise", "detailed")}

    effort: Literal[*EFFORTS] | None = None


class TextOptions(Body):
    """The answer's form."""

    fixed: ClassVar = {"verbosity": ("medium",)}

    format: dict[str, Any] | None = None


def _few(pairs: Any) -> Any:
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

    input: str | Items[Item]
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
    def _check(self):
        if self.input in ("", []):
            raise ValueError("input is empty; there is nothing to answer.")
        if self.previous_response_id is not None:
            raise ValueError(
                "previous_response_id is not supported: nothing is stored. Send the whole conversation as input."
            )
        return self

    def call(self) -> Call:
        """The request as the model takes it."""
        effort = None if self.reasoning is None else self.reasoning.effort
        options = self.given() | think_options({"reasoning_effort": effort})
        if self.tools:
            options["tools"] = [_function(tool, f"tools[{i}]") for i, tool in enumerate(self.tools)]
        if "tool_choice" in options:
            options["tool_choice"] = _choice(self.tool_choice)
        if self.text is not None and answer_schema(self.text.format, "text.format", flat=True) is not None:
            options["response_format"] = _format(self.text.format)
        if self.has_logprobs:
            options["logprobs"] = self.top_logprobs
        return Call(self.conversation(), options)

    @property
    def has_logprobs(self) -> bool:
        """Whether the text's log-probabilities are wanted."""
        return self.top_logprobs > 0 or "message.output_text.logprobs" in self.include

    def conversation(self) -> list[dict]:
        """OpenAI's chat messages. RequestError: an item that the model cannot read."""
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        if isinstance(self.input, str):
            return [*messages, {"role": "user", "content": self.input}]
        turn: dict | None = None  # the assistant's turn that items go on adding to
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


def _add(turn: dict, item: dict, kind: str, where: str) -> None:
    """An item that is part of an assistant's turn, whose texts are lists of their parts."""
    if kind == "message":
        turn["content"] += filter(None, [_text(item.get("content"), f"{where}.content")])
    elif kind == "reasoning":
        turn["reasoning_content"] += filter(None, [_thoughts(item, where)])
    else:
        function = {name: text_of(item.get(name), f"{where}.{name}") for name in ("name", "arguments")}
        call = {"id": _call_id(item, where), "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)


def _whole(turn: dict) -> dict:
    """A turn with its texts joined."""
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
