"""/v1/messages, through Anthropic's own client."""

from dataclasses import replace

import anthropic as module
import pytest

from .fake import call_pieces, last_piece, text_pieces

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"name": "get_weather", "description": "Weather", "input_schema": {"type": "object"}}]
FUNCTIONS = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": "Weather", "parameters": {"type": "object"}},
    }
]


def test_message_has_thinking_and_text(anthropic, fake):
    message = anthropic.messages.create(model="any", max_tokens=50, messages=HELLO)
    assert [b.type for b in message.content] == ["thinking", "text"]
    assert (message.content[0].thinking, message.content[1].text) == ("Let me think", "Hello world")
    assert (message.stop_reason, message.model) == ("end_turn", "fake-model")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        10,
        2,
        5,
    )
    assert fake.calls == [(HELLO, 1, {"max_tokens": 50})]


def test_stream_adds_up_to_the_message(anthropic, fake):
    fake.play(
        [
            *text_pieces("I look.", "Hmm"),
            *call_pieces(0, "get_weather", '{"city":"Rome"}'),
            last_piece("tool_calls"),
        ]
    )
    with anthropic.messages.stream(model="any", max_tokens=50, messages=HELLO, tools=TOOLS) as stream:
        names = [event.type for event in stream]
        message = stream.get_final_message()
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert names.count("content_block_stop") == 3
    thinking, text, use = message.content
    assert (thinking.thinking, text.text) == ("Hmm", "I look.")
    assert (use.id, use.name, use.input) == ("functions.get_weather:0", "get_weather", {"city": "Rome"})
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 5)


def test_each_of_several_calls_is_a_block_of_its_own(anthropic, fake):
    calls = [*call_pieces(0, "get_weather", '{"city":"Rome"}'), *call_pieces(1, "get_weather", '{"city":"Oslo"}')]
    fake.play([*calls, last_piece("tool_calls")])
    with anthropic.messages.stream(model="any", max_tokens=50, messages=HELLO, tools=TOOLS) as stream:
        names = [event.type for event in stream if event.type.startswith("content_block_st")]
        blocks = stream.get_final_message().content
    assert names == ["content_block_start", "content_block_stop"] * 2
    assert [(b.id, b.input["city"]) for b in blocks] == [
        ("functions.get_weather:0", "Rome"),
        ("functions.get_weather:1", "Oslo"),
    ]


def test_conversation_with_tools_becomes_openais(anthropic, fake):
    messages = [
        *HELLO,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hmm", "signature": ""},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "functions.get_weather:0", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions.get_weather:0", "content": "sunny"},
                {"type": "text", "text": "And?", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ]
    anthropic.messages.create(
        model="any",
        max_tokens=5,
        messages=messages,
        system=[{"type": "text", "text": "Be brief."}],
        tools=TOOLS,
        tool_choice={"type": "any"},
        stop_sequences=["END"],
        thinking={"type": "enabled", "budget_tokens": 1024},
        extra_body={"temperature": 1},
    )
    call = {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    ((prompt, _, options),) = fake.calls
    assert prompt == [
        {"role": "system", "content": "Be brief."},
        *HELLO,
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hmm",
            "tool_calls": [{"id": "functions.get_weather:0", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "functions.get_weather:0", "content": "sunny"},
        {"role": "user", "content": "And?"},
    ]
    assert options == {
        "max_tokens": 5,
        "temperature": 1,
        "stop": ("END",),
        "tools": FUNCTIONS,
        "tool_choice": "required",
        "think_budget": 1024,
    }


def test_dropped_thinking_is_put_back(anthropic, fake):
    fake.play(
        [*text_pieces("", "I need it."), *call_pieces(0, "get_weather", '{"city":"Rome"}'), last_piece("tool_calls")],
        [last_piece()],
    )
    use = anthropic.messages.create(model="any", max_tokens=5, messages=HELLO, tools=TOOLS).content[-1]
    back = [{"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}]
    result = [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]
    messages = [*HELLO, {"role": "assistant", "content": back}, {"role": "user", "content": result}]
    anthropic.messages.create(model="any", max_tokens=5, messages=messages, tools=TOOLS)
    assert fake.calls[1][0][1]["reasoning_content"] == "I need it."


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, {}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ],
    ids=str,
)
def test_tool_choice_is_translated(anthropic, fake, choice, wanted):
    anthropic.messages.create(model="any", max_tokens=5, messages=HELLO, tools=TOOLS, tool_choice=choice)
    assert {k: v for k, v in fake.calls[0][2].items() if k == "tool_choice"} == wanted


@pytest.mark.parametrize("stream", [False, True])
def test_stop_sequence_that_came_is_named(anthropic, fake, stream):
    fake.play([*text_pieces("Hel"), replace(last_piece(), stop_text="END")])
    options = {"model": "any", "max_tokens": 5, "messages": HELLO, "stop_sequences": ["END", "STOP"]}
    if stream:
        with anthropic.messages.stream(**options) as events:
            message = events.get_final_message()
    else:
        message = anthropic.messages.create(**options)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


@pytest.mark.parametrize(
    ("thinking", "options"),
    [
        ({"type": "enabled", "budget_tokens": 1024, "display": "summarized"}, {"think_budget": 1024}),
        ({"type": "adaptive"}, {}),
        ({"type": "disabled"}, {"no_think": True}),
        ({"type": "between_tools"}, {"no_think": True}),
    ],
    ids=str,
)
def test_every_kind_of_thinking_is_taken(anthropic, fake, thinking, options):
    message = anthropic.messages.create(model="any", max_tokens=5, messages=HELLO, thinking=thinking)
    assert fake.calls[0][2] == {"max_tokens": 5} | options
    assert message.content[0].thinking == "Let me think" and message.content[0].signature


@pytest.mark.parametrize("kind", ["enabled", "adaptive"])
def test_thinking_that_is_to_be_omitted_is_an_empty_block_with_a_signature(anthropic, kind):
    options = {"model": "any", "max_tokens": 5, "messages": HELLO, "thinking": {"type": kind, "display": "omitted"}}
    with anthropic.messages.stream(**options) as stream:
        deltas = [event.delta.type for event in stream if event.type == "content_block_delta"]
        streamed = stream.get_final_message().content
    whole = anthropic.messages.create(**options).content
    assert "thinking_delta" not in deltas and "signature_delta" in deltas
    assert streamed[0] == whole[0] and whole[0].thinking == "" and whole[0].signature
    assert streamed[1].text == whole[1].text == "Hello world"


def test_system_turn_stands_at_its_place(anthropic, fake):
    turns = [*HELLO, {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *HELLO]
    anthropic.messages.create(model="any", max_tokens=5, messages=turns, system="Be kind.")
    assert fake.calls[0][0] == [
        {"role": "system", "content": "Be kind."},
        *HELLO,
        {"role": "system", "content": "Be brief."},
        *HELLO,
    ]


def test_last_message_of_the_assistant_is_the_answers_beginning(anthropic, fake):
    opening = {"role": "assistant", "content": [{"type": "text", "text": "The best answer is ("}]}
    anthropic.messages.create(model="any", max_tokens=5, messages=[*HELLO, opening])
    assert fake.calls[0][0] == [*HELLO, {"role": "assistant", "content": "The best answer is (", "partial": True}]
    anthropic.messages.create(model="any", max_tokens=5, messages=[*HELLO, {"role": "assistant", "content": ""}])
    assert fake.calls[1][0] == HELLO


@pytest.mark.parametrize(
    ("block", "more", "named"),
    [
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, {}, "tool_result"),
        (
            {"type": "text", "text": "{"},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "output_config.format",
        ),
    ],
    ids=["a call", "a schema"],
)
def test_beginning_that_nothing_can_follow_is_refused_in_anthropics_terms(anthropic, block, more, named):
    turns = [*HELLO, {"role": "assistant", "content": [block]}]
    with pytest.raises(module.BadRequestError, match=r"messages\[1\]") as caught:
        anthropic.messages.create(model="any", max_tokens=5, messages=turns, **more)
    assert named in str(caught.value)


def test_stream_begins_with_the_prompts_usage(anthropic):
    with anthropic.messages.stream(model="any", max_tokens=5, messages=HELLO) as stream:
        usage = next(iter(stream)).message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (10, 2, 0)


@pytest.mark.parametrize("kind", [{}, {"type": None}, {"type": "custom"}], ids=str)
def test_strict_tool_stays_strict_whatever_its_type_is_called(http, fake, kind):
    body = {"max_tokens": 5, "messages": HELLO, "tools": [TOOLS[0] | {"strict": True} | kind]}
    assert http.post("/v1/messages", json=body).status_code == 200
    assert fake.calls[0][2]["tools"][0]["function"] == FUNCTIONS[0]["function"] | {"strict": True}


def test_errors_have_anthropics_shape(anthropic):
    with pytest.raises(module.BadRequestError, match="image") as caught:
        content = [{"type": "image", "source": {"type": "url", "url": "http://example.org/x.png"}}]
        anthropic.messages.create(model="any", max_tokens=5, messages=[{"role": "user", "content": content}])
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "invalid_request_error"


def test_error_in_a_stream_reaches_the_client(anthropic, fake):
    fake.play([*text_pieces("Hel"), RuntimeError("detail")])
    with (
        pytest.raises(module.APIStatusError, match="The server failed"),
        anthropic.messages.stream(model="any", max_tokens=5, messages=HELLO) as stream,
    ):
        list(stream)


def test_tokens_can_be_counted_first(anthropic):
    assert anthropic.messages.count_tokens(model="any", messages=HELLO).input_tokens > 0


def test_count_is_of_what_the_request_would_use(anthropic, fake):
    def count(**options):
        return anthropic.messages.count_tokens(model="any", messages=HELLO, **options).input_tokens

    assert count(tools=TOOLS) > count(tools=TOOLS, tool_choice={"type": "none"}) == count()
    assert count(thinking={"type": "disabled"}) == count(output_config={"effort": "high"}) == count()
    more = [*HELLO, {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "The"}]
    assert anthropic.messages.count_tokens(model="any", messages=more).input_tokens > count()
