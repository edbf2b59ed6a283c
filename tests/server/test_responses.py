"""/v1/responses, through OpenAI's own client."""

import openai as module
import pytest

from kimi_cpu.llm import Piece

from .fake import call_pieces, last_piece, logprob, text_pieces

TOOLS = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}]


def test_response_has_reasoning_and_text(openai, fake):
    response = openai.responses.create(model="any", input="Hello", instructions="Be brief.", max_output_tokens=50)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert (response.output_text, response.output[0].content[0].text) == ("Hello world", "Let me think")
    assert (response.status, response.usage.input_tokens_details.cached_tokens) == ("completed", 2)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert fake.calls == [(messages, 1, {"max_tokens": 50})]


def test_stream_adds_up_to_the_response(openai, fake):
    fake.play(
        [*text_pieces("I look.", "Hmm"), *call_pieces(0, "get_weather", '{"city":"Rome"}'), last_piece("tool_calls")]
    )
    events = list(openai.responses.create(model="any", input="Hello", tools=TOOLS, stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    reasoning, message, call = events[-1].response.output
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == message.content[0].text
    assert "".join(e.delta for e in events if e.type == "response.reasoning_text.delta") == reasoning.content[0].text
    assert (call.call_id, call.arguments) == ("functions.get_weather:0", '{"city":"Rome"}')
    added = [e.item.id for e in events if e.type == "response.output_item.added"]
    assert added == [item.id for item in (reasoning, message, call)]
    done = [e.item for e in events if e.type == "response.output_item.done"]
    assert done == [reasoning, message, call]
    assert {item.status for item in done} == {"completed"}


def test_clients_accumulator_agrees_with_the_stream(openai):
    with openai.responses.stream(model="any", input="Hello") as stream:
        list(stream)
        assert stream.get_final_response().output_text == "Hello world"


def test_output_of_a_response_goes_back_as_input(openai, fake):
    fake.play(
        [*text_pieces("", "I need it."), *call_pieces(0, "get_weather", '{"city":"Rome"}'), last_piece("tool_calls")],
        [last_piece()],
    )
    question = {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    output = openai.responses.create(model="any", input=[question], tools=TOOLS).output
    result = {"type": "function_call_output", "call_id": output[-1].call_id, "output": "sunny"}
    back = [item.model_dump() for item in output]
    openai.responses.create(model="any", input=[question, *back, result], tools=TOOLS)
    call = {"name": "get_weather", "arguments": '{"city":"Rome"}'}
    assert fake.calls[1][0] == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "I need it.",
            "tool_calls": [{"id": "functions.get_weather:0", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "functions.get_weather:0", "content": "sunny"},
    ]
    assert fake.calls[1][2]["tools"][0]["function"] == {k: v for k, v in TOOLS[0].items() if k != "type"}


def test_answer_cut_short_is_incomplete(openai, fake):
    fake.play([*text_pieces("Hel"), last_piece("length")])
    response = openai.responses.create(model="any", input="Hello")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_schema_becomes_the_response_format(openai, fake):
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}
    openai.responses.create(model="any", input="Hello", text={"format": form})
    assert fake.calls[0][2]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"truncation": "auto"},
        {"tools": [{"type": "web_search"}]},
        {"input": [{"type": "item_reference", "id": "x"}]},
    ],
    ids=str,
)
def test_what_needs_a_store_or_a_service_is_refused_by_name(openai, fake, body):
    with pytest.raises(module.BadRequestError, match=next(iter(body))):
        openai.responses.create(**{"model": "any", "input": "Hello"} | body)
    assert fake.calls == []


@pytest.mark.parametrize("stream", [False, True])
def test_text_has_its_logprobs_where_they_are_included(openai, fake, stream):
    texts = [Piece(content=c, token_ids=(ord(c),), logprobs=(logprob(ord(c)),)) for c in "AB"]
    fake.play([*text_pieces("", "Hmm"), *texts, last_piece()])
    options = {"model": "any", "input": "Hello", "include": ["message.output_text.logprobs"], "top_logprobs": 2}
    response = openai.responses.create(**options, stream=stream)
    if stream:
        events = list(response)
        deltas = [e for e in events if e.type == "response.output_text.delta"]
        assert [[x.token for x in e.logprobs] for e in deltas] == [["A"], ["B"]]
        response = events[-1].response
    (part,) = response.output[1].content
    assert [(x.token, x.bytes, len(x.top_logprobs)) for x in part.logprobs] == [("A", [65], 2), ("B", [66], 2)]
    assert fake.calls[0][2]["logprobs"] == 2


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"type": "reasoning", "content": [{"text": 5}]}, r"input\[0\].content\[0\].text"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": None}]}, r"input\[0\].summary\[0\].text"),
        ({"type": "reasoning", "content": 5}, r"input\[0\].content"),
        ({"type": "reasoning", "content": ["x"]}, r"input\[0\].content"),
        ({"type": "function_call", "call_id": 5, "name": "f", "arguments": "{}"}, r"input\[0\].call_id"),
        ({"type": "function_call", "call_id": "a", "name": [], "arguments": "{}"}, r"input\[0\].name"),
        ({"type": "function_call", "call_id": "a", "name": "f", "arguments": {}}, r"input\[0\].arguments"),
        ({"type": "function_call_output", "call_id": {}, "output": "x"}, r"input\[0\].call_id"),
        ({"type": "function_call_output", "call_id": "a", "output": 5}, r"input\[0\].output"),
        ({"type": "message", "role": 5, "content": "x"}, r"input\[0\].role"),
        ({"type": ["x"], "role": "user", "content": "x"}, r"input\[0\]"),
        ({"role": "user", "content": [{"type": "input_text", "text": 5}]}, r"input\[0\].content\[0\]"),
    ],
    ids=str,
)
def test_item_with_a_value_of_a_wrong_type_is_refused_by_its_place(openai, fake, item, named):
    with pytest.raises(module.BadRequestError, match=named):
        openai.responses.create(model="any", input=[item])
    assert fake.calls == []


def test_null_type_is_absent(openai, fake):
    part = {"type": None, "text": "Hello"}
    tool = {k: v for k, v in TOOLS[0].items() if k != "type"} | {"type": None}
    openai.responses.create(model="any", input=[{"type": None, "role": "user", "content": [part]}], tools=[tool])
    assert fake.calls[0][0] == [{"role": "user", "content": "Hello"}]
    assert fake.calls[0][2]["tools"][0]["function"]["name"] == "get_weather"


def test_error_in_a_stream_is_its_last_event(openai, fake):
    fake.play([*text_pieces("Hel"), RuntimeError("detail")])
    last = list(openai.responses.create(model="any", input="Hello", stream=True))[-1]
    assert (last.type, last.message) == ("error", "The server failed; its log says why.")
