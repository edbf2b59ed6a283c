"""The server over a real model, whose weights are random: what it says is noise, how it says it is not."""

import json
import re
import threading

import httpx
import openai
import pytest

import kimi_cpu
from tests.tiny import WEATHER_TOOL

from .serving import serving

HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, context=4096, parallel=4) as llm:
        yield llm


@pytest.fixture(scope="module", params=["engine", "replicas"])
def served(request, tiny_file):
    """The server over an engine of its own, and over two engines of a cluster."""
    if request.param == "replicas":
        yield request.getfixturevalue("replicas")
        return
    with serving(None, lambda: kimi_cpu.load(tiny_file, context=4096, parallel=4), parallel=4) as served:
        yield served


@pytest.fixture(scope="module")
def client(served):
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def ended(served) -> list[str]:
    """What /metrics says of sequences that came to their end by themselves."""
    lines = served.http.get("/metrics").text.splitlines()
    return [line for line in lines if "request_success_total{" in line and "abort" not in line]


def test_server_says_what_the_library_says(client, llm):
    options = {"max_tokens": 30, "seed": 5}
    answer = client.chat.completions.create(model="any", messages=HELLO, **options)
    turn = llm.chat(HELLO, **options)
    assert (answer.choices[0].message.content or None) == turn.content
    assert answer.usage.completion_tokens == turn.usage.completion_tokens
    assert (answer.choices[0].finish_reason, answer.model) == (turn.finish_reason, llm.path.stem)


def test_stream_adds_up_to_the_whole(client):
    options = {"model": "any", "messages": HELLO, "max_tokens": 30, "seed": 5, "extra_body": {"no_think": True}}
    whole = client.chat.completions.create(**options).choices[0].message.content
    chunks = client.chat.completions.create(**options, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole


def test_n_answers_have_seeds_of_their_own_and_logprobs_of_every_token(client):
    options = {"model": "any", "messages": HELLO, "max_tokens": 12, "logprobs": True, "top_logprobs": 3}
    answer = client.chat.completions.create(**options, seed=1, n=2)
    second = client.chat.completions.create(**options, seed=2).choices[0]
    texts = [[t.token for t in c.logprobs.content] for c in answer.choices]
    assert texts[0] != texts[1] == [t.token for t in second.logprobs.content]
    assert ["".join(text) for text in texts] == [c.message.content for c in answer.choices]
    assert all(t.logprob <= t.top_logprobs[0].logprob <= 0 for c in answer.choices for t in c.logprobs.content)


def test_schema_is_kept(client):
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER, "strict": True}}
    answer = client.chat.completions.create(
        model="any", messages=HELLO, response_format=form, max_tokens=200, seed=1, extra_body={"no_think": True}
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["ok"], bool)


def test_loop_of_tools_with_reasoning_that_the_client_drops(client, llm):
    options = {"model": "any", "tools": [WEATHER_TOOL], "max_tokens": 300, "seed": 3}
    first = client.chat.completions.create(messages=HELLO, tool_choice="required", parallel_tool_calls=False, **options)
    message = first.choices[0].message
    (call,) = message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert 1 <= json.loads(call.function.arguments)["days"] <= 9
    bare = {"role": "assistant", "content": message.content, "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    kept = bare | {"reasoning_content": message.reasoning_content} if hasattr(message, "reasoning_content") else bare
    prompts = [
        client.chat.completions.create(
            messages=[*HELLO, turn, result], **options | {"max_tokens": 1}
        ).usage.prompt_tokens
        for turn in (bare, kept)
    ]
    assert prompts[0] == prompts[1]


def test_stop_text_ends_the_answer(client):
    free = client.completions.create(model="any", prompt="abc", max_tokens=40, temperature=0).choices[0].text
    stop = free[5:8]
    answer = client.completions.create(model="any", prompt="abc", max_tokens=40, temperature=0, stop=[stop]).choices[0]
    assert (answer.text, answer.finish_reason) == (free[: free.index(stop)], "stop")


def test_stop_sequence_is_named_to_anthropics_clients(served):
    body = {"messages": HELLO, "max_tokens": 60, "temperature": 0, "thinking": {"type": "disabled"}}
    free = served.http.post("/v1/messages", json=body).json()["content"][0]["text"]
    stop = free[-1]
    answer = served.http.post("/v1/messages", json=body | {"stop_sequences": ["never", stop]}).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", stop)
    assert "".join(block["text"] for block in answer["content"]) == free[: free.index(stop)]


def test_second_turn_finds_the_first_computed(client):
    messages = [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 4}]
    for _ in range(2):
        usage = client.chat.completions.create(model="any", messages=messages, max_tokens=2).usage
    assert usage.prompt_tokens_details.cached_tokens >= 128


LONG = [{"role": "user", "content": "x" * 5000}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"messages": LONG}, "messages"),
        ("/v1/completions", {"prompt": "x" * 5000}, "prompt"),
        ("/v1/completions", {"prompt": ["a", [97] * 4096]}, "prompt"),
        ("/v1/responses", {"input": "x" * 5000}, "input"),
    ],
)
def test_prompt_beyond_the_context_is_refused_in_openais_words(served, path, body, param, stream):
    answer = served.http.post(path, json=body | {"stream": stream})
    error = answer.json()["error"]
    assert "maximum context length is 4096 tokens" in error["message"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, "context_length_exceeded")


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_beyond_the_context_is_refused_in_anthropics_words(served, stream):
    count = served.http.post("/v1/messages/count_tokens", json={"messages": LONG}).json()["input_tokens"]
    answer = served.http.post("/v1/messages", json={"messages": LONG, "max_tokens": 5, "stream": stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"] == f"prompt is too long: {count} tokens > 4096 maximum"


def test_answer_ends_where_the_context_does(served):
    body = {"prompt": "x" * 4090, "max_tokens": 50, "ignore_eos": True}
    answer = served.http.post("/v1/completions", json=body).json()
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (6, "length")


def is_idle(served) -> bool:
    """Whether no engine runs a sequence, or holds pages of one."""
    lines = served.http.get("/metrics").text.splitlines()
    loads = ("kimi_cpu:num_requests_running", "kimi_cpu:kv_cache_usage_perc")
    return all(line.endswith(" 0.0") for line in lines if line.startswith(loads))


def test_disconnected_client_frees_its_sequence(served):
    body = {"prompt": "abc", "max_tokens": 4000, "stream": True, "ignore_eos": True}
    before = ended(served)
    with httpx.Client(base_url=served.url) as http, http.stream("POST", "/v1/completions", json=body) as answer:
        next(answer.iter_lines())
    for _ in range(2000):
        if is_idle(served):
            break
        threading.Event().wait(0.005)
    assert is_idle(served) and ended(served) == before


def test_text_and_ids_are_translated(served, llm):
    told = served.http.post("/tokenize", json={"content": "abc", "with_pieces": True}).json()
    assert [t["piece"] for t in told["tokens"]] == ["a", "b", "c"] and told["count"] == 3
    ids = served.http.post("/v1/tokenize", json={"content": "abc"}).json()["tokens"]
    assert ids == llm.tokenize("abc")
    mark = {"content": "<|im_end|>", "add_special": False}
    counts = [
        served.http.post("/tokenize", json=mark | extra).json()["count"] for extra in ({}, {"parse_special": False})
    ]
    assert counts == [1, 10]
    assert served.http.post("/detokenize", json={"tokens": ids}).json()["content"] == "abc"
    assert served.http.post("/detokenize", json={"tokens": [10**6]}).status_code == 400


def test_tokens_of_a_conversation_are_counted_as_they_are_used(served, client):
    told = served.http.post("/v1/messages/count_tokens", json={"messages": HELLO}).json()["input_tokens"]
    assert told == client.chat.completions.create(model="any", messages=HELLO, max_tokens=1).usage.prompt_tokens


ANTHROPIC_TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [ANTHROPIC_TOOL]},
        {"tools": [ANTHROPIC_TOOL], "tool_choice": {"type": "none"}},
        {"tools": [ANTHROPIC_TOOL], "tool_choice": {"type": "any"}, "system": "Be brief."},
        {"thinking": {"type": "disabled"}},
        {"output_config": {"format": {"type": "json_schema", "schema": ANSWER}}},
        {"messages": [*HELLO, {"role": "system", "content": "Be brief."}]},
        {"messages": [*HELLO, {"role": "assistant", "content": "The best answer is ("}]},
    ],
    ids=str,
)
def test_count_is_what_the_request_then_uses(served, body):
    body = {"messages": HELLO} | body
    count = served.http.post("/v1/messages/count_tokens", json=body).json()["input_tokens"]
    usage = served.http.post("/v1/messages", json=body | {"max_tokens": 1}).json()["usage"]
    assert count == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_stream_of_a_message_begins_with_the_usage_of_its_end(served):
    body = {"messages": [{"role": "user", "content": "Once upon a time. " * 20}], "max_tokens": 2, "stream": True}
    for _ in range(2):
        text = served.http.post("/v1/messages", json=body).text
        told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        first, last = (next(e for e in told if e["type"] == kind) for kind in ("message_start", "message_delta"))
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        assert [first["message"]["usage"][n] for n in names] == [last["usage"][n] for n in names]
    assert first["message"]["usage"]["cache_read_input_tokens"] >= 64


def test_answer_goes_on_from_a_partial_one(served, llm):
    partial = {"role": "assistant", "content": '{"a', "partial": True}
    body = {"messages": [*HELLO, partial], "max_tokens": 5, "temperature": 0}
    answer = served.http.post("/v1/chat/completions", json=body).json()
    prompt = llm.chat_ids(HELLO) + llm.tokenize('<think></think>{"a')
    assert answer["usage"]["prompt_tokens"] == len(prompt)
    text = llm.generate(prompt, max_tokens=5, temperature=0).text
    assert answer["choices"][0]["message"]["content"] == re.sub(r"<\|\w+\|>", "", text)  # a turn's text has no marks


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "a", "partial": True}, *HELLO],
        [{"role": "user", "content": "a", "partial": True}],
        [*HELLO, {"role": "assistant", "content": "a", "name": "Kimi", "partial": True}],
    ],
    ids=str,
)
def test_partial_message_that_cannot_be_gone_on_from_is_refused(served, messages):
    error = served.http.post("/v1/chat/completions", json={"messages": messages}).json()["error"]
    assert error["param"].endswith("partial")


class Failing:
    """A model that has had enough."""

    max_tokens = 64

    def submit(self, *arguments):
        raise MemoryError("no more")


def test_engine_that_fails_is_told_to_every_client_and_to_health(tiny_file):
    with kimi_cpu.load(tiny_file, context=256, parallel=2) as llm, serving(llm) as served:
        llm._thread._engine.model = Failing()
        body = {"prompt": "abc", "max_tokens": 5}
        told = [
            served.http.post("/v1/completions", json=body | {"stream": True}).text,
            served.http.post("/v1/completions", json=body).text,
            served.http.get("/health").text,
        ]
        assert all("The engine has stopped: MemoryError('no more')" in text for text in told)
        assert all('"engine_dead"' in text for text in told)
        assert served.http.get("/health").status_code == served.http.get("/metrics").status_code == 503
