"""Bodies of requests: what they ask of the model, and what is refused by name."""

import pytest

from kimi_cpu.batch.answers import read_body
from kimi_cpu.batch.source import CHAT, COMPLETIONS
from kimi_cpu.errors import RequestError

HELLO = [{"role": "user", "content": "Hello"}]


def chat(_defaults=None, **body):
    return read_body(CHAT, {"messages": HELLO} | body, _defaults or {})


def completion(_defaults=None, **body):
    return read_body(COMPLETIONS, {"prompt": "Hello"} | body, _defaults or {})


def test_fields_become_the_keywords_of_the_model():
    call = chat(
        model="gpt-4o", temperature=0, max_completion_tokens=9, n=2, tools=[{}], tool_choice="required", user="me",
        logprobs=True, top_logprobs=3, reasoning_effort="none", chat_template_kwargs={"x": 1}, stop=["a"],
        parallel_tool_calls=False,
    )  # fmt: skip
    assert (call.prompts, call.n) == ([HELLO], 2)
    assert call.options == {
        "temperature": 0, "max_tokens": 9, "tools": [{}], "tool_choice": "required", "logprobs": 3, "no_think": True,
        "template_kwargs": {"x": 1}, "stop": ("a",), "parallel_tool_calls": False,
    }  # fmt: skip


def test_null_is_as_good_as_absent():
    assert chat(temperature=None, tools=None, stream=None, made_up=None).options == {}


def test_defaults_fill_what_a_body_leaves_out_and_only_fields_that_its_kind_has():
    defaults = {"temperature": 0.5, "max_tokens": 7, "seed": 1, "think_budget": 4}
    assert chat(defaults, max_completion_tokens=3, seed=2).options == {
        "temperature": 0.5, "max_tokens": 3, "seed": 2, "think_budget": 4,
    }  # fmt: skip
    assert completion(defaults).options == {"temperature": 0.5, "max_tokens": 7, "seed": 1}
    assert chat(defaults, thinking={"type": "disabled"}).options["no_think"]


def test_completions_have_openais_16_tokens():
    assert completion().options == {"max_tokens": 16}


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [("a", ["a"]), ([5, 6], [[5, 6]]), (["a", "b"], ["a", "b"]), ([[5], [6, 7]], [[5], [6, 7]]), (["a", [5]], None),
     ([], None), ([True], None), ([[]], None), (5, None), ([1, "a"], None)],
)  # fmt: skip
def test_prompt_may_be_text_ids_or_several_of_either(prompt, prompts):
    if prompts is None and prompt != ["a", [5]]:
        with pytest.raises(RequestError) as refused:
            completion(prompt=prompt)
        assert refused.value.param == "prompt"
    else:
        assert completion(prompt=prompt).prompts == (prompts or prompt)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"temprature": 1}, "temprature", "unknown_parameter"),
        ({"prompt": "a"}, "prompt", "unknown_parameter"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 10**400}, "temperature", "invalid_value"),
        ({"ignore_eos": 1}, "ignore_eos", "invalid_type"),
        ({"max_tokens": 2.5}, "max_tokens", "invalid_type"),
        ({"logprobs": 3}, "logprobs", "invalid_type"),
        ({"messages": "Hello"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": ["Hello"]}, "messages", "invalid_type"),
        ({"stream": True}, "stream", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_value"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens", "invalid_value"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
    ],
)
def test_wrong_field_is_refused_by_name(body, param, code):
    with pytest.raises(RequestError, match=param) as refused:
        chat(**body)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_echo_and_logprobs_do_not_go_together():
    with pytest.raises(RequestError, match="echo"):
        completion(echo=True, logprobs=2)
