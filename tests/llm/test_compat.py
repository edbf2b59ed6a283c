"""create_chat_completion and create_completion; the openai package's own types say what their objects hold."""

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import kimi_cpu
from kimi_cpu.errors import RequestError

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {"type": "object", "properties": {"n": {"enum": [1]}}, "required": ["n"]},
        },
    }
]


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        yield llm


def test_chat_completion_is_openais(llm):
    options = {"max_tokens": 12, "seed": 3, "temperature": 0.7, "stop": None}
    reply = llm.create_chat_completion(HELLO, **options)
    assert ChatCompletion.model_validate(reply, strict=True).to_dict() == reply
    turn = llm.chat(HELLO, max_tokens=12, seed=3, temperature=0.7)
    assert reply["choices"][0]["message"] == turn.message()
    assert reply["choices"][0]["finish_reason"] == "length" and reply["choices"][0]["logprobs"] is None
    assert reply["usage"]["completion_tokens"] == 12
    again = llm.create_chat_completion(HELLO, **options)["usage"]
    assert again["prompt_tokens_details"]["cached_tokens"] == again["prompt_tokens"] - 1
    assert reply["usage"]["completion_tokens_details"] == {"reasoning_tokens": 0}


def test_streamed_chunks_add_up_to_the_chat_completion(llm):
    options = {"tools": TOOLS, "tool_choice": "required", "max_tokens": 200, "seed": 3}
    whole = llm.create_chat_completion(HELLO, **options)["choices"][0]
    usage = {"stream_options": {"include_usage": True}}
    chunks = list(llm.create_chat_completion(HELLO, stream=True, **usage, **options))
    for chunk in chunks:
        assert ChatCompletionChunk.model_validate(chunk, strict=True).id == chunks[0]["id"]
    *parts, last = chunks
    assert last["choices"] == [] and last["usage"]["completion_tokens"] > 0
    choices = [part["choices"][0] for part in parts]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    arguments = "".join(call["function"]["arguments"] for call in calls)
    expected = whole["message"]["tool_calls"]
    assert [call["id"] for call in calls if "id" in call] == [call["id"] for call in expected]
    assert arguments == "".join(call["function"]["arguments"] for call in expected)
    assert [choice["finish_reason"] for choice in choices[-2:]] == [None, whole["finish_reason"]]


def test_logprobs_have_openais_shape(llm):
    options = {"logprobs": True, "top_logprobs": 2, "max_tokens": 8, "seed": 1, "ignore_eos": True}
    reply = llm.create_chat_completion(HELLO, **options)
    told = ChatCompletion.model_validate(reply, strict=True).choices[0].logprobs.content
    assert "".join(entry.token for entry in told) == reply["choices"][0]["message"]["content"]
    assert told and all(len(entry.top_logprobs) == 2 for entry in told)
    streamed = list(llm.create_chat_completion(HELLO, stream=True, **options))
    found = [e for c in streamed if (told := c["choices"][0]["logprobs"]) for e in told["content"]]
    assert found == reply["choices"][0]["logprobs"]["content"]


def test_completion_is_openais_whole_and_streamed(llm):
    options = {"max_tokens": 9, "seed": 4, "ignore_eos": True, "logprobs": 2, "echo": True}
    reply = llm.create_completion("abc", **options)
    assert Completion.model_validate(reply, strict=True).usage.completion_tokens == 9
    choice = reply["choices"][0]
    assert choice["text"].startswith("abc") and choice["logprobs"]["text_offset"][:2] == [3, 4]
    chunks = list(llm.create_completion("abc", stream=True, **options))
    assert "".join(c["choices"][0]["text"] for c in chunks) == choice["text"]
    offsets = [o for c in chunks if (told := c["choices"][0]["logprobs"]) for o in told["text_offset"]]
    assert offsets == choice["logprobs"]["text_offset"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_limits_are_spelled_as_llama_cpp_python_spells_them(llm):
    assert llm.create_completion("abc", ignore_eos=True)["usage"]["completion_tokens"] == 16
    prompt = "x" * 1000
    assert llm.create_completion(prompt, ignore_eos=True, max_tokens=-1)["usage"]["completion_tokens"] == 24
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    options = {"response_format": {"type": "json_object", "schema": schema}, "max_tokens": 300, "seed": 1}
    text = llm.create_chat_completion(HELLO, **options)["choices"][0]["message"]["content"]
    assert text.replace(" ", "").replace("\n", "").replace("\t", "") == '{"a":1}'


def test_what_would_change_the_answer_and_is_unknown_is_refused_by_name(llm):
    with pytest.raises(RequestError, match="mirostat_mode"):
        llm.create_chat_completion(HELLO, mirostat_mode=2)
