"""What a request asks for, as Python says it, and what is refused before anything is computed."""

import json

import pytest

import kimi_cpu
from kimi_cpu.errors import RequestError

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("f", "g")
]
SCHEMA = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        yield llm


def named(*names):
    return [{"type": "function", "function": {"name": name}} for name in names]


def allowed(mode, tools):
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        "any",
        5,
        {"type": "function", "function": {"name": "f"}},
        allowed("required", named("f")),
        allowed("auto", named("f")),
    ],
    ids=str,
)
@pytest.mark.parametrize("tools", [None, []], ids=str)
def test_choice_of_a_tool_needs_tools(llm, tools, choice):
    with pytest.raises(RequestError, match="tool_choice") as refused:
        llm.chat(HELLO, tools=tools, tool_choice=choice)
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_choice_that_chooses_nothing_needs_no_tools(llm, choice):
    assert llm.chat(HELLO, tool_choice=choice, max_tokens=2).usage.completion_tokens == 2


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "h"}},
        {"type": "function"},
        allowed("required", named("f", "h")),
        allowed("required", []),
        allowed("sometimes", named("f")),
        {"type": "allowed_tools"},
    ],
    ids=str,
)
def test_choice_of_what_is_not_declared_is_refused(llm, choice):
    with pytest.raises(RequestError, match="tool_choice") as refused:
        llm.chat(HELLO, tools=TOOLS, tool_choice=choice)
    assert refused.value.param.startswith("tool_choice")


def test_only_allowed_tools_are_called(llm):
    for name in ("f", "g"):
        turn = llm.chat(HELLO, tools=TOOLS, tool_choice=allowed("required", named(name)), seed=3, max_tokens=300)
        assert {call["function"]["name"] for call in turn.tool_calls} == {name}


def test_json_object_with_a_schema_is_kept_to(llm):
    form = {"type": "json_object", "schema": SCHEMA}
    assert json.loads(llm.chat(HELLO, response_format=form, no_think=True, max_tokens=300, seed=1).content) == {"a": 1}


def test_thinking_does_not_end_an_answer_that_is_bound(llm):
    assert set(llm.config.eos_token_ids) - set(llm.tokenizer.eos_ids)  # a token that may come within the thinking
    form = {"type": "json_object", "schema": SCHEMA}
    for seed in range(12):
        assert json.loads(llm.chat(HELLO, response_format=form, max_tokens=300, seed=seed).content) == {"a": 1}


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, "response_format.type"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA, "x": 1}}, "response_format.json_schema.x"),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA, "name": 5}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA, "strict": 1}}, "response_format.json_schema.strict"),
        ({"type": "json_schema", "schema": SCHEMA}, "response_format.schema"),
        ({"type": "json_object", "schema": []}, "response_format.schema"),
        ({"type": "json_object", "json_schema": {"schema": SCHEMA}}, "response_format.json_schema"),
        ({"type": "text", "schema": SCHEMA}, "response_format.schema"),
        ("json", "response_format"),
    ],
    ids=str,
)
def test_malformed_response_format_is_refused_at_its_place(llm, form, param):
    with pytest.raises(RequestError, match="response_format") as refused:
        llm.chat(HELLO, response_format=form)
    assert refused.value.param == param


def test_any_integer_is_a_seed_and_another_one_answers_otherwise(llm):
    def answer(seed):
        return llm.generate("abc", max_tokens=16, ignore_eos=True, seed=seed).token_ids

    assert answer(-1) == answer(-1) == answer(2**64 - 1)
    assert answer(-(2**63)) == answer(2**63)
    assert len({answer(seed) for seed in (-1, -2, -7, 7, 2**63, 2**63 + 1)}) == 6


def test_minus_one_is_no_limit_and_off(llm):
    assert llm.generate("x" * 1000, max_tokens=-1, ignore_eos=True).usage.completion_tokens == 24
    assert kimi_cpu.Sampling(top_k=-1, max_tokens=-1, seed=-1) == kimi_cpu.Sampling(top_k=0, seed=-1)


def test_dialects_and_other_names_are_pythons_too(llm):
    same = [
        {"max_tokens": 4, "no_think": True, "repeat_penalty": 1.3},
        {"max_completion_tokens": 4, "reasoning_effort": "none", "repetition_penalty": 1.3},
        {"n_predict": 4.0, "thinking": {"type": "disabled"}, "repeat_penalty": 1.3, "temperature": None},
        {"max_tokens": 4, "chat_template_kwargs": {"enable_thinking": False}, "repeat_penalty": 1.3},
    ]
    answers = {llm.chat(HELLO, seed=2, ignore_eos=True, **options).token_ids for options in same}
    assert len(answers) == 1
