"""POST /v1/messages: Anthropic's API, which coding agents speak. Requests become OpenAI's messages; answers become
content blocks, whole or as events."""

import base64
import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ..config.field import Door, refuse_unknown
from ..config.parameters import answer_schema, letters, think_keywords
from ..errors import RequestError, shown
from ..llm import ChatCompletion, Piece, Usage
from .answers import Question
from .body import TEXT, TEXT_OR_PARTS, Body, Effort, Items, body_at, described, text_of
from .events import event

FORMAT = "output_config.format"
KEEP_ALL = {"type": "clear_thinking_20251015", "keep": "all"}  # clears nothing; agents send it
MESSAGE_KEYS = {"role", "content"}
ANSWER_KEYS = MESSAGE_KEYS | {"id", "type", "model", "usage", "stop_reason", "stop_sequence", "stop_details"}
BLOCK_KEYS = {  # type of a block: its keys besides type and cache_control; those on how it was made are ignored
    "text": {"text", "citations", "parsed_output"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error"},
}
FOREIGN_BLOCKS = {"user": {"thinking", "redacted_thinking", "tool_use"}, "assistant": {"tool_result"}}
TOOL_KEYS = {"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"}
ROLES = ("user", "assistant", "system")
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
AnthropicMessage = Annotated[dict[str, Any], described({"role": {"enum": list(ROLES)}, "content": TEXT_OR_PARTS})]
AnthropicTool = Annotated[
    dict[str, Any], described({"name": TEXT, "input_schema": {"type": "object"}}, description=TEXT)
]


class Thinking(Body):
    """Whether the model thinks, and whether the client sees it. between_tools counts as disabled: it turns thinking
    off, and K2 does not write the remarks that Claude writes between calls then."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: int | None = Field(None, ge=0)
    display: Literal["summarized", "omitted"] | None = None

    @property
    def is_off(self) -> bool:
        """Whether the model is not to think."""
        return self.type in ("disabled", "between_tools")


class OutputConfig(Body):
    """The answer's form, and a thinking budget by name."""

    format: dict[str, Any] | None = None
    effort: Effort | None = None


class CountBody(Body):
    """A conversation whose tokens are to be counted."""

    fixed: ClassVar = {"context_management": ({}, {"edits": []}, {"edits": [KEEP_ALL]}), "mcp_servers": ([],)}

    messages: Items[AnthropicMessage] = Field(min_length=1)
    system: str | Items[dict[str, Any]] | None = None
    tools: Items[AnthropicTool] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None

    def question(self) -> Question:
        """The request for the model."""
        wishes: dict[str, Any] = {}
        if self.thinking is not None:
            switch = "disabled" if self.thinking.is_off else "enabled"
            wishes["thinking"] = {"type": switch, "budget_tokens": self.thinking.budget_tokens}
        if self.output_config is not None:
            wishes["reasoning_effort"] = self.output_config.effort
        options, choice = think_keywords(wishes), _choice(self.tool_choice)
        if tools := self._functions():
            options |= {"tools": tools} | choice
        elif choice.get("tool_choice", "none") != "none":
            raise RequestError("tool_choice is for a tool, but tools has none; declare some, or leave it out.")
        schema = None if self.output_config is None else answer_schema(self.output_config.format, FORMAT, flat=True)
        if schema is not None:
            options["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        return Question(self._conversation(), options)

    def _conversation(self) -> list[dict]:
        """OpenAI's messages. The answer goes on from a last one of the assistant. RequestError: a block that the model
        cannot read."""
        system = _text(self.system, "system") if self.system else ""
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
        called: set[str] = set()
        for i, message in enumerate(self.messages):
            converted = _converted(message, f"messages[{i}]")
            called.update(letters(call["id"]) for turn in converted for call in turn.get("tool_calls", ()))
            _check_results(converted, called, f"messages[{i}]")
            messages += converted
        last = messages[-1]
        if last == {"role": "assistant", "content": ""}:
            messages.pop()  # nothing to go on from
        elif last["role"] == "assistant":
            self._check_opening(last, f"messages[{len(self.messages) - 1}]")
            last["partial"] = True
        return messages

    def _check_opening(self, opening: dict, where: str) -> None:
        """Raises RequestError where the answer cannot go on from a message."""
        if "tool_calls" in opening:
            raise RequestError(f"{where} has a tool_use without its tool_result; add a message with that.")
        if self.output_config is not None and self.output_config.format is not None:
            raise RequestError(f"{where} is the answer's beginning, but output_config.format must say all of it.")

    def _functions(self) -> list[dict] | None:
        """OpenAI's tools."""
        if not self.tools:
            return None
        return [_function(tool, f"tools[{i}]") for i, tool in enumerate(self.tools)]


class MessagesBody(body_at(Door.MESSAGES), CountBody):
    """A request for the next message."""

    max_tokens: int | None = Field(description="Of thinking and answer together; -1 is no limit.")
    stream: bool = False

    def question(self) -> Question:
        question = super().question()
        return question._replace(options=self.given() | question.options)

    @property
    def shows_thinking(self) -> bool:
        """Whether the answer is to hold the thinking's text."""
        return self.thinking is None or self.thinking.display != "omitted"


class MessagesWriter:
    """Writes one message: thinking, text and tool_use blocks in the order in which they come."""

    def __init__(self, answer_id: str, model: str, shows_thinking: bool = True):
        """shows_thinking: False leaves the thinking blocks' text empty."""
        self._id, self._model, self._shows_thinking = answer_id, model, shows_thinking
        self._is_started = False
        self._open: str | None = None  # type of the block that is open
        self._thoughts = hashlib.sha256()  # of the thinking block that is open
        self._num_blocks = 0

    def begin(self) -> bytes:
        return b""  # the message starts with its usage, which the first piece knows

    def push(self, index: int, piece: Piece) -> bytes:
        out = b"" if self._is_started else self._start(piece)
        if piece.reasoning_content:
            out += self._begin({"type": "thinking", "thinking": "", "signature": ""})
            self._thoughts.update(piece.reasoning_content.encode())
            if self._shows_thinking:
                out += self._delta({"type": "thinking_delta", "thinking": piece.reasoning_content})
        if piece.content:
            out += self._begin({"type": "text", "text": ""})
            out += self._delta({"type": "text_delta", "text": piece.content})
        for call in piece.tool_calls:
            if "id" in call:
                block = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}}
                out += self._end() + self._begin(block)
            if arguments := call["function"].get("arguments"):
                out += self._delta({"type": "input_json_delta", "partial_json": arguments})
        if piece.finish_reason is not None:
            out += self._end()
            assert piece.usage is not None
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
            blocks.append({"type": "thinking", "thinking": text, "signature": signature})
        if turn.content:
            blocks.append({"type": "text", "text": turn.content})
        for call in turn.tool_calls:
            name, arguments = call["function"]["name"], _object(call["function"]["arguments"])
            blocks.append({"type": "tool_use", "id": call["id"], "name": name, "input": arguments})
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

    def _begin(self, block: dict) -> bytes:
        """Begins a block, unless one of its type is open."""
        if self._open == block["type"]:
            return b""
        out = self._end()
        self._open = block["type"]
        body = {"type": "content_block_start", "index": self._num_blocks, "content_block": block}
        return out + event(body, "content_block_start")

    def _delta(self, delta: dict) -> bytes:
        body = {"type": "content_block_delta", "index": self._num_blocks, "delta": delta}
        return event(body, "content_block_delta")

    def _end(self) -> bytes:
        """Ends the block that is open, if one is."""
        if self._open is None:
            return b""
        out = b""
        if self._open == "thinking":
            out = self._delta({"type": "signature_delta", "signature": _signature(self._thoughts)})
            self._thoughts = hashlib.sha256()
        self._open = None
        self._num_blocks += 1
        return out + event({"type": "content_block_stop", "index": self._num_blocks - 1}, "content_block_stop")


def _converted(message: dict, where: str) -> list[dict]:
    """One of Anthropic's messages as one or several of OpenAI's: results of tools are messages of their own."""
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise RequestError(f"{where}.role is {shown(role)}; it must be user, assistant or system.")
    refuse_unknown(message, ANSWER_KEYS if role == "assistant" else MESSAGE_KEYS, where)
    if role == "system":
        return [{"role": role, "content": _text(content, f"{where}.content")}]
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if not isinstance(content, list):
        raise RequestError(f"{where}.content is neither a text nor a list of blocks.")
    texts, thoughts, calls, results = [], [], [], []
    for j, block in enumerate(content):
        here = f"{where}.content[{j}]"
        _check_keys(block, here, role)
        match block.get("type") if isinstance(block, dict) else None:
            case "text":
                texts.append(text_of(block.get("text"), f"{here}.text"))
            case "thinking":
                thoughts.append(text_of(block.get("thinking"), f"{here}.thinking"))
            case "redacted_thinking":
                pass  # another model's secret
            case "tool_use":
                calls.append(_call(block, here))
            case "tool_result":
                results.append(_result(block, here))
            case other:
                raise RequestError(f"{here} is of type {shown(other)}, but only text and tools can be read.")
    if role == "user":
        text = [{"role": "user", "content": "".join(texts)}] if texts or not results else []
        return results + text
    turn: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if thoughts:
        turn["reasoning_content"] = "".join(thoughts)
    if calls:
        turn["tool_calls"] = calls
    return [turn]


def _check_keys(block: object, where: str, role: str = "user") -> None:
    """Raises RequestError where a block of a known type has an unknown key, or is none of the role's."""
    if not isinstance(block, dict):
        return
    kind = block.get("type")
    if isinstance(kind, str) and kind in BLOCK_KEYS:
        if kind in FOREIGN_BLOCKS[role]:
            raise RequestError(f"{where} is of type {kind!r}, which has no place in a message of the {role}.")
        refuse_unknown(block, BLOCK_KEYS[kind] | {"type", "cache_control"}, where)


def _check_results(converted: list[dict], called: set[str], where: str) -> None:
    """Raises RequestError where a result is that of no call before it."""
    for message in converted:
        if message["role"] == "tool" and letters(message["tool_call_id"]) not in called:
            shown_id = shown(message["tool_call_id"])
            raise RequestError(f"{where} has a tool_result for {shown_id}, which is the id of no tool_use before it.")


def _call(block: dict, where: str) -> dict:
    name, arguments = text_of(block.get("name"), f"{where}.name"), block.get("input")
    if not isinstance(arguments, dict | None):
        raise RequestError(f"{where}.input is {shown(arguments)}; it must be an object.")
    return {
        "id": text_of(block.get("id"), f"{where}.id"),
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments or {}, ensure_ascii=False)},
    }


def _result(block: dict, where: str) -> dict:
    content = block.get("content")
    text = _text(content, f"{where}.content") if content is not None else ""
    if block.get("is_error") and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": text_of(block.get("tool_use_id"), f"{where}.tool_use_id"), "content": text}


def _text(content: object, where: str) -> str:
    """A text, or the texts of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(f"{where} is neither a text nor a list of blocks.")
    for i, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind != "text":
            raise RequestError(f"{where}[{i}] is of type {shown(kind)}, but only text can be read.")
        _check_keys(block, f"{where}[{i}]")
    return "".join(text_of(block.get("text"), f"{where}[{i}].text") for i, block in enumerate(content))


def _function(tool: dict, where: str) -> dict:
    """One of Anthropic's tools as OpenAI's."""
    if tool.get("type") not in (None, "custom"):
        raise RequestError(f"{where}.type is {shown(tool['type'])}; tools of Anthropic's servers do not exist here.")
    refuse_unknown(tool, TOOL_KEYS, where)
    function = {"name": tool.get("name"), "description": tool.get("description") or ""}
    function["parameters"] = tool.get("input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return {"type": "function", "function": function}


def _choice(choice: dict | None) -> dict:
    """Anthropic's tool_choice as our options."""
    if choice is None:
        return {}
    refuse_unknown(choice, {"type", "name", "disable_parallel_tool_use"}, "tool_choice")
    options: dict[str, Any] = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    match choice.get("type"):
        case "auto":
            return options
        case "any":
            return options | {"tool_choice": "required"}
        case "none":
            return options | {"tool_choice": "none"}
        case "tool":
            return options | {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    raise RequestError(f"tool_choice.type is {shown(choice.get('type'))}; it must be auto, any, tool or none.")


def _stop(last: Piece | ChatCompletion) -> dict:
    """The reason for which the message ended."""
    assert last.finish_reason is not None
    reason = STOP_REASONS[last.finish_reason] if last.stop_text is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": last.stop_text}


def _signature(thoughts: "hashlib._Hash") -> str:
    """A text that clients carry beside a thinking block; nothing here reads it."""
    return base64.b64encode(thoughts.digest()).decode()


def _usage(usage: Usage) -> dict:
    """Anthropic's usage, which counts cached tokens of the prompt apart from others."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _object(arguments: str) -> dict:
    """The arguments of a call as an object; {} where the model wrote none, as at a length limit."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
