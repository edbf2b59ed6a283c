"""/v1/chat/completions, through OpenAI's own client where it can see the difference."""

import json
from dataclasses import replace

import pytest

from kimi_cpu.errors import ContextOverflow, RequestError
from kimi_cpu.llm import Piece

from .fake import call_pieces, last_piece, logprob, text_pieces

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def chunks(response) -> list[dict]:
    """The JSON of all events; the last event must be [DONE]."""
    events = [e.removeprefix("data: ") for e in response.text.split("\n\n") if e.startswith("data: ")]
    assert events.pop() == "[DONE]"
    return [json.loads(e) for e in events]


def test_whole_answer_has_reasoning_usage_and_timings(openai):
    answer = openai.chat.completions.create(model="any", messages=HELLO)
    (choice,) = answer.choices
    assert (choice.message.content, choice.message.reasoning_content) == ("Hello world", "Let me think")
    assert (choice.finish_reason, answer.model, answer.usage.total_tokens) == ("stop", "fake-model", 17)
    assert answer.usage.completion_tokens_details.reasoning_tokens == 1
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    assert answer.timings["prompt_n"] == 10 and answer.timings["predicted_per_second"] == 2.0


def test_stream_begins_with_the_role_and_reasons_before_it_answers(openai):
    stream = list(openai.chat.completions.create(model="any", messages=HELLO, stream=True))
    deltas = [chunk.choices[0].delta for chunk in stream]
    assert (deltas[0].role, deltas[0].content) == ("assistant", "")
    reasoning = [getattr(d, "reasoning_content", None) for d in deltas]
    assert "".join(r for r in reasoning if r) == "Let me think"
    assert "".join(d.content or "" for d in deltas) == "Hello world"
    assert not any(r and d.content for r, d in zip(reasoning, deltas, strict=True))
    assert [c.choices[0].finish_reason for c in stream] == [None] * (len(stream) - 1) + ["stop"]
    assert len({(c.id, c.created, c.model, c.object) for c in stream}) == 1


def test_usage_comes_last_and_only_when_it_is_asked_for(http):
    body = {"messages": HELLO, "stream": True}
    *rest, last = chunks(http.post("/v1/chat/completions", json=body | {"stream_options": {"include_usage": True}}))
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 17
    assert all(chunk["usage"] is None for chunk in rest)
    assert all("usage" not in chunk for chunk in chunks(http.post("/v1/chat/completions", json=body)))


def test_tool_calls_stream_as_deltas_that_name_each_call_once(openai, fake):
    script = [*call_pieces(0, "get_weather", '{"city":"Rome"}'), *call_pieces(1, "get_weather", '{"city":"Oslo"}')]
    fake.play([*script, last_piece("tool_calls")])
    stream = list(openai.chat.completions.create(model="any", messages=HELLO, tools=TOOLS, stream=True))
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(c.index, c.id, c.function.name) for c in calls if c.id] == [
        (0, "functions.get_weather:0", "get_weather"),
        (1, "functions.get_weather:1", "get_weather"),
    ]
    assert "".join(c.function.arguments for c in calls if c.index == 1) == '{"city":"Oslo"}'
    assert stream[-1].choices[0].finish_reason == "tool_calls"


def test_whole_answer_with_tool_calls(openai, fake):
    fake.play([*call_pieces(0, "get_weather", '{"city":"Rome"}'), last_piece("tool_calls")])
    (choice,) = openai.chat.completions.create(model="any", messages=HELLO, tools=TOOLS).choices
    (call,) = choice.message.tool_calls
    assert (call.id, call.function.arguments) == ("functions.get_weather:0", '{"city":"Rome"}')
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")


def test_dropped_reasoning_is_put_back_by_the_call(openai, fake):
    fake.play(
        [
            *text_pieces("", "I need it."),
            *call_pieces(0, "get_weather", '{"city":"Rome"}'),
            last_piece("tool_calls"),
        ],
        [*text_pieces("Sunny."), last_piece()],
    )
    turn = openai.chat.completions.create(model="any", messages=HELLO, tools=TOOLS).choices[0].message
    (call,) = turn.tool_calls
    forgetful = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    openai.chat.completions.create(model="any", messages=[*HELLO, forgetful, result], tools=TOOLS)
    assert fake.calls[1][0][1]["reasoning_content"] == "I need it."


def test_n_answers_are_numbered_and_counted_together(openai, fake):
    fake.play([*text_pieces("one"), last_piece()], [*text_pieces("two"), last_piece("length")])
    answer = openai.chat.completions.create(model="any", messages=HELLO, n=2)
    assert [(c.index, c.message.content, c.finish_reason) for c in answer.choices] == [
        (0, "one", "stop"),
        (1, "two", "length"),
    ]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 10)


def test_n_streams_carry_their_index(openai, fake):
    fake.play([*text_pieces("one"), last_piece()], [*text_pieces("two"), last_piece()])
    texts = ["", ""]
    for chunk in openai.chat.completions.create(model="any", messages=HELLO, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == ["one", "two"]


@pytest.mark.parametrize("stream", [False, True])
def test_every_token_has_its_logprob_also_those_held_back(openai, fake, stream):
    held = Piece(token_ids=(65,))
    shown = Piece(content="AB", token_ids=(66,), logprobs=(logprob(65), logprob(66, -0.25)))
    fake.play([*text_pieces("", "Hmm"), held, shown, last_piece()])
    answer = openai.chat.completions.create(model="a", messages=HELLO, logprobs=True, top_logprobs=2, stream=stream)
    choices = [c.choices[0] for c in answer] if stream else answer.choices
    tokens = [t for c in choices if c.logprobs for t in c.logprobs.content]
    assert [(t.token, t.logprob, t.bytes) for t in tokens] == [("A", -0.5, [65]), ("B", -0.25, [66])]
    assert [t.token for t in tokens[0].top_logprobs] == ["A", "B"]
    assert fake.calls[0][2]["logprobs"] == 2


def test_progress_of_a_long_prompt_is_told_on_request(http, fake):
    fake.play([Piece(prompt_progress=(512, 2000), prompt_cached=64), *text_pieces("x"), last_piece()])
    body = {"messages": HELLO, "stream": True}
    (told,) = [
        c
        for c in chunks(http.post("/v1/chat/completions", json=body | {"return_progress": True}))
        if "prompt_progress" in c
    ]
    progress = told["prompt_progress"]
    assert (progress["processed"], progress["total"], progress["cache"]) == (512, 2000, 64)
    assert not any("prompt_progress" in c for c in chunks(http.post("/v1/chat/completions", json=body)))


def test_parameters_reach_the_model_under_its_own_names(http, fake):
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    body = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "logit_bias": {"5": -100},
        "seed": 7,
        "stop": ["END"],
        "max_completion_tokens": 9,
        "tools": TOOLS,
        "tool_choice": "required",
        "response_format": schema,
        "think_budget": 100,
    }
    assert http.post("/v1/chat/completions", json={"messages": HELLO, "n": 3} | body).status_code == 200
    renamed = {"repetition_penalty": "repeat_penalty", "max_completion_tokens": "max_tokens"}
    read = {"stop": ("END",), "logit_bias": {5: -100}}
    assert fake.calls == [(HELLO, 3, {renamed.get(k, k): v for k, v in body.items()} | read)]


@pytest.mark.parametrize(
    "body", [{"no_think": True}, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}], ids=str
)
def test_thinking_can_be_turned_off_in_each_dialect(http, fake, body):
    assert http.post("/v1/chat/completions", json={"messages": HELLO} | body).status_code == 200
    assert fake.calls[0][2] == {"no_think": True}


def test_parameters_without_an_effect_are_taken_and_null_is_absent(http, fake):
    body = {"user": "me", "metadata": {"a": "b"}, "store": True, "model": "gpt", "temperature": None, "audio": None}
    assert http.post("/v1/chat/completions", json={"messages": HELLO} | body).status_code == 200
    assert fake.calls[0][2] == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temprature": 1}, "temprature"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"stream": True, "stream_options": {"other": 1}}, "stream_options.other"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(http, fake, body, param):
    answer = http.post("/v1/chat/completions", json={"messages": HELLO} | body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert param.rpartition(".")[2] in error["message"]
    assert fake.calls == []


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
    ids=str,
)
def test_contradictions_are_refused(http, fake, body, name):
    answer = http.post("/v1/chat/completions", json={"messages": HELLO} | body)
    assert answer.status_code == 400 and name in answer.json()["error"]["message"]
    assert fake.calls == []


@pytest.mark.parametrize(
    ("error", "param", "code"),
    [
        (RequestError("messages[0].role is 'x' and not one of user."), "messages[0].role", None),
        (RequestError("top_p is 2; it must be above 0 and at most 1."), "top_p", None),
        (ContextOverflow("This model's maximum context length is 8 tokens."), "messages", "context_length_exceeded"),
    ],
)
def test_what_the_model_refuses_is_the_clients_error(openai, fake, error, param, code):
    import openai as module

    fake.play([], refuse=error)
    with pytest.raises(module.BadRequestError, match=str(error)[:20].replace("[", r"\[")) as caught:
        openai.chat.completions.create(model="any", messages=HELLO, stream=True)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_error_after_the_first_token_is_the_last_event(openai, fake):
    import openai as module

    fake.play([*text_pieces("Hel"), RuntimeError("secret detail")])
    seen = []
    with pytest.raises(module.APIError, match="The server failed") as caught:
        for chunk in openai.chat.completions.create(model="any", messages=HELLO, stream=True):
            seen.append(chunk.choices[0].delta.content)
    assert seen == ["", "Hel"]
    assert "secret" not in str(caught.value.body)


def test_half_a_surrogate_pair_is_a_bad_request(http):
    raw = b'{"messages": [{"role": "user", "content": "\\ud800"}]}'
    answer = http.post("/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400)


def test_thinking_of_a_running_answer_can_be_ended(http, fake):
    fake.play([*text_pieces("", "Hmm"), lambda g: g.must_answer_now, *text_pieces("Yes."), last_piece()])
    body = {"messages": HELLO, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        answer_id = json.loads(next(lines))["id"]
        told = http.post("/v1/chat/completions/control", json={"id": answer_id, "action": "reasoning_end"})
        assert told.json() == {"success": True}
        assert any("Yes." in line for line in lines)
    assert http.post("/v1/chat/completions/control", json={"id": "other", "action": "reasoning_end"}).status_code == 404


@pytest.mark.parametrize("stream", [False, True])
def test_answer_that_ran_in_a_circle_says_so_on_every_route_in_its_own_terms(http, fake, stream):
    def last(route, **body):
        fake.play([*text_pieces("ha ha ha"), replace(last_piece(), stop_reason="repetition")])
        answer = http.post(route, json={"stream": stream} | body)
        if not stream:
            return answer.json()
        events = [json.loads(x[6:]) for x in answer.text.splitlines() if x.startswith("data: {")]
        return events[-1] if "choices" in events[-1] or "response" in events[-1] else events[-2]["delta"]

    for route, body in (("/v1/chat/completions", {"messages": HELLO}), ("/v1/completions", {"prompt": "a"})):
        (choice,) = last(route, repetition_detection=True, **body)["choices"]
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "repetition")
        assert fake.calls[-1][2]["repetition_detection"] is True
    found = last("/v1/responses", input="a")
    found = found.get("response", found)
    assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": "repetition"})
    found = last("/v1/messages", messages=HELLO, max_tokens=9)
    assert (found["stop_reason"], found["stop_sequence"]) == ("end_turn", None)
