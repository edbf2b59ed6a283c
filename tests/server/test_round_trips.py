"""What clients keep of our answers and send back, and what they add: taken, or refused at its place."""

import json

import pytest

from kimi_cpu.chat.messages import normalise_messages

from .fake import call_pieces, last_piece, text_pieces

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
TEXT = {"type": "text", "text": "a", "foo": 1}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "2"}
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
OUTPUT = {"type": "function_call_output", "call_id": "a", "output": "2"}
CALL = {"name": "f", "arguments": '{"a":1}'}
ANSWER = [*text_pieces("So", "Hm."), *call_pieces(0, "f", '{"a":1}'), last_piece("tool_calls")]
TURN = {
    "role": "assistant",
    "content": "So",
    "reasoning_content": "Hm.",
    "tool_calls": [{"id": "functions.f:0", "type": "function", "function": CALL}],
}


def last_prompt(fake):
    """The messages of the last request, in normal form, as LLM makes it."""
    return normalise_messages(fake.calls[-1][0])


def test_openais_client_sends_its_message_back(openai, fake):
    fake.play(ANSWER)
    said = openai.chat.completions.create(model="any", messages=HELLO, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "2", "name": "f"}
    for back in (said, said.model_dump(), said.model_dump(exclude_none=True), said.to_dict()):
        openai.chat.completions.create(model="any", messages=[*HELLO, back, result], tools=TOOLS)
        assert last_prompt(fake)[1] == TURN


def test_message_of_a_stream_goes_back(openai, fake):
    fake.play(ANSWER)
    with openai.chat.completions.stream(model="any", messages=HELLO, tools=TOOLS) as stream:
        said = stream.get_final_completion().choices[0].message
    openai.chat.completions.create(model="any", messages=[*HELLO, said.model_dump()], tools=TOOLS)
    assert last_prompt(fake)[1]["tool_calls"] == TURN["tool_calls"]


def test_litellm_sends_its_message_back(_fake_server, fake):
    litellm = pytest.importorskip("litellm")
    fake.play(ANSWER)
    options = {"model": "openai/any", "api_base": f"{_fake_server[1].url}/v1", "api_key": "none", "tools": TOOLS}
    said = litellm.completion(messages=HELLO, **options).choices[0].message
    for back in (said, said.model_dump()):
        litellm.completion(
            messages=[*HELLO, back, {"role": "tool", "tool_call_id": "functions.f:0", "content": "2"}], **options
        )
        assert last_prompt(fake)[1] == TURN


def test_anthropics_client_sends_its_message_back(anthropic, fake):
    fake.play(ANSWER)
    tools = [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]
    options = {"model": "any", "max_tokens": 9, "tools": tools}
    said = anthropic.messages.create(messages=HELLO, **options)
    result = {"type": "tool_result", "tool_use_id": "functions.f:0", "content": [{"type": "text", "text": "2"}]}
    whole = said.model_dump()
    for back in ({"role": "assistant", "content": said.content}, {k: whole[k] for k in ("role", "content")}, whole):
        anthropic.messages.create(messages=[*HELLO, back, {"role": "user", "content": [result]}], **options)
        turn = last_prompt(fake)[1]
        assert json.loads(turn["tool_calls"][0]["function"].pop("arguments")) == {"a": 1}
        assert (turn["content"], turn["reasoning_content"]) == ("So", "Hm.")


def test_output_of_a_response_goes_back_however_it_is_written(openai, fake):
    fake.play(ANSWER)
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]
    said = openai.responses.create(model="any", input="Hello", tools=tools)
    for back in (said.output, [i.model_dump() for i in said.output], [i.to_dict() for i in said.output]):
        openai.responses.create(model="any", input=[*HELLO, *back], tools=tools)
        assert last_prompt(fake)[1] == TURN


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        (MESSAGES, {"messages": [{"role": "user", "content": "a", "foo": 1}]}, "messages[0].foo"),
        (MESSAGES, {"messages": [{"role": "user", "content": [TEXT]}]}, "messages[0].content[0].foo"),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages[0].content[0]"),
        (MESSAGES, {"system": [TEXT]}, "system[0].foo"),
        (MESSAGES, {"messages": [{"role": "user", "content": [RESULT]}]}, "messages[0]"),
        (MESSAGES, {"messages": [*HELLO, {"role": "assistant", "content": [RESULT]}]}, "messages[1].content[0]"),
        (MESSAGES, {"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
        (RESPONSES, {"input": [*HELLO, OUTPUT]}, "input[1].call_id"),
        (MESSAGES, {"tools": [{"name": "f", "input_schema": {}, "foo": 1}]}, "tools[0].foo"),
        (MESSAGES, {"tool_choice": {"type": "auto", "foo": 1}}, "tool_choice.foo"),
        (RESPONSES, {"input": [{"role": "user", "content": "a", "foo": 1}]}, "input[0].foo"),
        (RESPONSES, {"input": [{"role": "user", "content": [TEXT]}]}, "input[0].content[0].foo"),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": []}]}]}, "input[0].content[0]"),
        (RESPONSES, {"input": [{"type": "reasoning", "summary": [], "foo": 1}]}, "input[0].foo"),
        (RESPONSES, {"tools": [{"type": "function", "name": "f", "foo": 1}]}, "tools[0].foo"),
    ],
    ids=str,
)
def test_unknown_key_or_misplaced_part_is_refused_at_its_place(http, fake, route, body, param):
    least = {"input": "a"} if route == RESPONSES else {"messages": HELLO, "max_tokens": 9}
    answer = http.post(route, json=least | body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert fake.calls == []


@pytest.mark.parametrize("result_id", ["functions.f:0", "functions_f_0"])
def test_results_answer_calls_whose_ids_clients_rewrote(http, fake, result_id):
    use = {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": result_id, "content": "2"}
    turns = [*HELLO, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    assert http.post(MESSAGES, json={"messages": turns, "max_tokens": 9}).status_code == 200
    call = {"type": "function_call", "call_id": "functions.f:0", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": result_id, "output": "2"}
    assert http.post(RESPONSES, json={"input": [*HELLO, call, output]}).status_code == 200
    assert [last_prompt(fake)[2]["tool_call_id"] for _ in fake.calls] == ["functions.f:0"] * 2


def test_refusal_is_text_on_responses(http, fake):
    part = {"type": "refusal", "refusal": "No."}
    body = {"input": [*HELLO, {"role": "assistant", "content": [part]}, *HELLO]}
    assert http.post(RESPONSES, json=body).status_code == 200
    assert fake.calls[0][0][1]["content"] == "No."
