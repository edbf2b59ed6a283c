"""Every part of every kind of request with a value of a wrong type: it is taken, or refused by a 400 that says why."""

import copy
import json
import random

import pytest

import kimi_cpu
from kimi_cpu.llm import BUNDLED_MODEL

from .serving import serving

USER = {"role": "user", "content": "Hi"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "enum": ["x", "y"]}},
    "required": ["a"],
    "additionalProperties": False,
}
CALL = {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": FUNCTION}]
ALLOWED = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}
FORMAT = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
RESULT = {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": "r"}], "is_error": True}
USE = {"type": "tool_use", "id": "i", "name": "f", "input": {"a": "x"}}
ASKED = {  # a route, and what tells several of its bodies apart: a body that is right
    "/v1/chat/completions tools": {
        "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
        ],
        "max_tokens": 1,
        "logit_bias": {"5": 1},
        "stop": ["a"],
        "n": 1,
        "logprobs": True,
        "top_logprobs": 1,
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "chat_template_kwargs": {"a": 1},
    },
    "/v1/chat/completions partial": {
        "messages": [USER, {"role": "assistant", "content": "a", "partial": True}],
        "max_tokens": 1,
        "reasoning_effort": "low",
        "thinking": {"type": "enabled"},
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "/v1/chat/completions format": {
        "messages": [USER],
        "max_tokens": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "no_think": True,
    },
    "/v1/chat/completions others": {
        "messages": [
            {
                "role": "assistant",
                "content": "x",
                "refusal": None,
                "function_call": {"name": "f", "arguments": "{}"},
                "reasoning_details": [{"type": "t", "text": "x"}],
                "thinking_blocks": [{"thinking": "x"}],
            },
            {"role": "function", "name": "f", "content": "x"},
        ],
        "max_tokens": 1,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": ALLOWED},
        "tools": TOOLS,
    },
    "/v1/completions": {"prompt": ["a", [1, 2]], "max_tokens": 1, "echo": True, "stream": True},
    "/v1/completions ids": {"prompt": [1, 2], "max_tokens": 1, "logprobs": 2},
    "/v1/responses": {
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": "x"}],
                "content": [{"type": "reasoning_text", "text": "x"}],
            },
            {
                "type": "function_call",
                "id": "fc",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
                "status": "completed",
            },
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
            {"role": "user", "content": "x"},
        ],
        "metadata": {"a": "b"},
        "max_output_tokens": 1,
        "include": ["message.output_text.logprobs"],
        "tools": [{"type": "function"} | FUNCTION],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low", "summary": "auto"},
    },
    "/v1/responses format": {"input": "a", "max_output_tokens": 1, "text": {"format": FORMAT}, "stream": True},
    "/v1/messages": {
        "max_tokens": 1,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "text", "text": "x"},
                    USE,
                ],
            },
            {
                "role": "user",
                "content": [RESULT],
            },
            {"role": "system", "content": "x"},
        ],
        "tools": [{"type": "custom", "name": "f", "description": "d", "input_schema": SCHEMA, "strict": True}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "stop_sequences": ["x"],
        "thinking": {"type": "enabled", "budget_tokens": 3, "display": "omitted"},
    },
    "/v1/messages format": {
        "max_tokens": 1,
        "messages": [USER],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"},
        "stream": True,
    },
    "/v1/messages/count_tokens": {
        "messages": [USER, {"role": "assistant", "content": "x"}],
        "system": "s",
        "tools": [{"name": "f", "input_schema": SCHEMA}],
        "tool_choice": {"type": "none"},
    },
    "/tokenize": {"content": "a", "special": True, "with_pieces": True},
    "/detokenize": {"tokens": [1, 2]},
}
WRONG = [None, 5, -1, 1.5, 10**30, True, "x", "", "\ud800\0", [], {}, [5], ["x"], [None], [[]], [{}]]
WRONG += [{"a": 5}, {"type": None}, {"type": "text", "text": 5}, {"type": []}]
SAMPLE = 40  # of a body's requests


@pytest.fixture(scope="module")
def served():
    with kimi_cpu.load(BUNDLED_MODEL, parallel=2, context=1024) as llm, serving(llm) as served:
        llm.generate("a", max_tokens=1)  # compiles, which may take longer than clients wait
        yield served


def places(value: object, place: tuple = ()):
    """The path of every value in a value."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from places(item, (*place, name))


def with_value(body: dict, place: tuple, value: object) -> object:
    """The body with another value at a place."""
    if not place:
        return value
    changed = copy.deepcopy(body)
    holder = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return changed


@pytest.mark.parametrize("asked", ASKED)
def test_no_value_of_a_wrong_type_is_the_servers_fault(served, asked):
    path, body = asked.split()[0], ASKED[asked]
    assert served.http.post(path, json=body).status_code == 200
    every = [(place, value) for place in places(body) for value in WRONG]
    for place, value in random.Random(asked).sample(every, min(SAMPLE, len(every))):
        raw = json.dumps(with_value(body, place, value))
        answer = served.http.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400), (place, value, answer.text)
        assert "server_error" not in answer.text, (place, value, answer.text)
