"""A plugin for simonw's `llm`: `llm -m kimi-cpu "…"` runs the model of $KIMI_CPU_MODEL, or the bundled one, in
llm's own process."""

import json
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import llm
from llm.parts import Message, ReasoningPart, StreamEvent, TextPart, ToolCallPart, ToolResultPart
from pydantic import Field, create_model

from .config.field import FLAGS, Door, Kind
from .config.fields import fields_at
from .errors import KimiError, shown
from .llm import LLM, Generation, Piece, load


@llm.hookimpl
def register_models(register) -> None:
    """llm's hook."""
    model = _Loaded()
    register(KimiCpu(model), AsyncKimiCpu(model))


_TYPES = {Kind.NUMBER: float, Kind.INTEGER: int, **dict.fromkeys(FLAGS, bool)}  # others are texts
_FIELDS: dict[str, Any] = {
    name: (_TYPES.get(field.kind, str) | None, Field(None, description=field.help))
    for name, field in fields_at(Door.PLUGIN).items()
}
Options = create_model(
    "Options",
    __base__=llm.Options,
    __doc__="The options of `llm -o NAME VALUE`; kimi_cpu checks the values.",
    **_FIELDS,
)


class _Loaded:
    """The model, loaded when it is first asked."""

    def __init__(self):
        self._lock, self._llm = threading.Lock(), None

    def get(self) -> LLM:
        with self._lock:
            if self._llm is None:
                self._llm = load()
            return self._llm


class _Shared:
    model_id = "kimi-cpu"
    can_stream = True
    supports_schema = True
    supports_tools = True
    Options = Options

    def __init__(self, model: _Loaded):
        self._model = model

    def __str__(self) -> str:
        return f"kimi-cpu: {self.model_id}"

    def _submit(self, prompt: llm.Prompt) -> Generation:
        options = {k: v for k, v in prompt.options.model_dump().items() if v is not None}
        if prompt.schema:
            schema = {"name": "answer", "schema": prompt.schema}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        tools = [_tool(tool) for tool in prompt.tools if isinstance(tool, llm.Tool)] or None  # llm refuses others
        messages = [message for m in prompt.messages for message in _messages(m)]
        try:
            return self._model.get().submit(messages, tools, **options)
        except KimiError as e:
            raise llm.ModelError(str(e)) from e


class KimiCpu(_Shared, llm.Model):
    """For `llm` and llm.get_model."""

    def execute(self, prompt, stream, response, conversation) -> Iterator[StreamEvent]:
        handle = self._submit(prompt)
        try:
            for piece in handle:
                yield from _events(piece, prompt.hide_reasoning)
            _finish(handle, response)
        finally:
            handle.cancel()


class AsyncKimiCpu(_Shared, llm.AsyncModel):
    """For llm.get_async_model."""

    async def execute(self, prompt, stream, response, conversation) -> AsyncGenerator[StreamEvent, None]:
        handle = self._submit(prompt)
        try:
            async for piece in handle:
                for event in _events(piece, prompt.hide_reasoning):
                    yield event
            _finish(handle, response)
        finally:
            handle.cancel()


def _events(piece: Piece, hide_reasoning: bool) -> Iterator[StreamEvent]:
    if piece.reasoning_content and not hide_reasoning:
        yield StreamEvent(type="reasoning", chunk=piece.reasoning_content)
    if piece.content:
        yield StreamEvent(type="text", chunk=piece.content)


def _finish(handle: Generation, response) -> None:
    """Hands over what is known at the end. llm.ModelError: the tokens ran out inside a call, which cannot be made."""
    turn = handle.result()
    usage = turn.usage
    details = {"cached_tokens": usage.cached_tokens, "reasoning_tokens": usage.reasoning_tokens}
    response.set_usage(input=usage.prompt_tokens, output=usage.completion_tokens, details=details)
    for call in turn.tool_calls:
        name = call["function"]["name"]
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError as e:
            raise llm.ModelError(f"The call of {shown(name)} was cut off by max_tokens; give more of them.") from e
        response.add_tool_call(llm.ToolCall(name, arguments, tool_call_id=call["id"]))


def _tool(tool: llm.Tool) -> dict:
    function = {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def _messages(message: Message) -> Iterator[dict]:
    """llm's message in OpenAI's form; each result of a tool is one of its own."""
    text = "".join(part.text for part in message.parts if isinstance(part, TextPart))
    reasoning = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    for result in results:
        yield {"role": "tool", "tool_call_id": result.tool_call_id, "content": result.output}
    if results:
        return
    out: dict[str, Any] = {"role": message.role, "content": text}
    if reasoning:
        out["reasoning_content"] = reasoning
    if calls:
        out["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in calls
        ]
    yield out
