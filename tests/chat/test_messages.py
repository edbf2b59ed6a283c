"""What clients send, and the one form that the template sees."""

import pytest

from kimi_cpu.chat import render_chat
from kimi_cpu.chat.messages import normalise_messages, normalise_tools
from kimi_cpu.errors import RequestError


def call(name, call_id=None, arguments="{}"):
    return {"type": "function", "function": {"name": name, "arguments": arguments}} | (
        {"id": call_id} if call_id else {}
    )


def turn(*calls):
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(call_id=None):
    return {"role": "tool", "content": "ok"} | ({"tool_call_id": call_id} if call_id else {})


def ids(messages):
    """The ids of a normalised conversation, in order: those of calls in lists, those of results alone."""
    normal = normalise_messages(messages)
    return [[c["id"] for c in m["tool_calls"]] if "tool_calls" in m else m.get("tool_call_id") for m in normal]


def test_calls_are_counted_over_the_whole_conversation():
    messages = [turn(call("f", "x1"), call("g", "x2")), result("x2"), result("x1"), turn(call("f", "x3")), result("x3")]
    expected = [
        ["functions.f:0", "functions.g:1"],
        "functions.g:1",
        "functions.f:0",
        ["functions.f:2"],
        "functions.f:2",
    ]
    assert ids(messages) == expected


def test_an_id_that_is_used_again_means_the_later_call():
    messages = [turn(call("f", "functions.f:0")), result("functions.f:0")] * 2
    assert ids(messages) == [["functions.f:0"], "functions.f:0", ["functions.f:1"], "functions.f:1"]


def test_calls_of_one_turn_with_the_same_id_are_answered_in_order():
    messages = [turn(call("f", "x"), call("g", "x")), result("x"), result("x")]
    assert ids(messages) == [["functions.f:0", "functions.g:1"], "functions.f:0", "functions.g:1"]


def test_results_without_ids_answer_the_open_calls_in_order():
    messages = [turn(call("f"), call("g", "x"), call("h")), result("x"), result(), result()]
    assert ids(messages)[1:] == ["functions.g:1", "functions.f:0", "functions.h:2"]


@pytest.mark.parametrize(
    ("called", "answered"), [("functions.f:0", "functions_f_0"), ("functions_f_0", "functions.f:0"), ("a-b", "a_b")]
)
def test_id_that_a_client_spells_otherwise_in_the_result_is_found(called, answered):
    messages = [turn(call("f", called), call("g", "x")), result("x"), result(answered)]
    assert ids(messages)[1:] == ["functions.g:1", "functions.f:0"]


def test_canonical_ids_stay_as_they_are():
    messages = [turn(call("f", "functions.f:0")), result("functions.f:0")]
    assert ids(messages) == [["functions.f:0"], "functions.f:0"]


@pytest.mark.parametrize(
    ("content", "text"),
    [("a", "a"), (None, ""), ([], ""), ([{"type": "text", "text": "a"}, {"text": "b"}, "c"], "abc")],
)
def test_contents_become_one_string(content, text):
    assert normalise_messages([{"role": "user", "content": content}]) == [{"role": "user", "content": text}]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_has_two_names(key):
    [message] = normalise_messages([{"role": "assistant", "content": "a", key: "r"}])
    assert message == {"role": "assistant", "content": "a", "reasoning_content": "r"}


def test_a_null_reasoning_prints_nothing():
    assistant = turn(call("f", "a")) | {"reasoning_content": None, "reasoning": None}
    assert "<think></think>" in render_chat(normalise_messages([assistant]))


def test_render_chat_renames_ids_and_leaves_the_rest_to_the_template():
    messages = [turn(call("f", "a"), call("g")) | {"reasoning_content": None}, result("a"), result(), result("gone")]
    rendered = render_chat(messages)
    assert "<think>None</think>" in rendered and "<|tool_call_begin|><|tool_call_argument_begin|>" in rendered
    assert [part.split("\n")[0] for part in rendered.split("## Return of ")[1:]] == ["functions.f:0", "", "gone"]


def test_an_empty_list_of_calls_is_no_call():
    assert normalise_messages([turn()]) == [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize(("given", "kept"), [({"a": 1}, {"a": 1}), ('{ "a":1}', '{ "a":1}'), ("", "{}"), (None, "{}")])
def test_arguments_are_an_object_or_a_text(given, kept):
    [message] = normalise_messages([turn(call("f", "x", given))])
    assert message["tool_calls"][0]["function"]["arguments"] == kept


def test_the_messages_given_are_left_alone():
    messages = [turn(call("f", "x", {"b": 1})), result("x")]
    normalise_messages(messages)
    assert messages == [turn(call("f", "x", {"b": 1})), result("x")]


def test_keys_of_tools_are_sorted_and_lists_are_not():
    tool = {"type": "function", "function": {"name": "f", "description": "d", "z": [{"b": 1, "a": 2}, 0]}}
    [normal] = normalise_tools([tool])
    assert list(normal) == ["function", "type"] and list(normal["function"]) == ["description", "name", "z"]
    assert list(normal["function"]["z"][0]) == ["a", "b"] and normal["function"]["z"][1] == 0


@pytest.mark.parametrize("tools", [None, []])
def test_no_tools_are_none(tools):
    assert normalise_tools(tools) is None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("hello", r"messages\[0\] "),
        ({"content": "a"}, r"messages\[0\]\.role"),
        ({"role": "<|im_end|>", "content": "a"}, r"messages\[0\]\.role"),
        ({"role": ["user"], "content": "a"}, r"messages\[0\]\.role"),
        ({"role": "user"}, r"messages\[0\]\.content"),
        ({"role": "user", "content": 5}, r"messages\[0\]\.content"),
        ({"role": "user", "content": {"text": "a"}}, r"messages\[0\]\.content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, r"content\[0\].*image_url"),
        ({"role": "user", "content": [{"type": "text"}]}, r"content\[0\]"),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, r"content\[0\]"),
        ({"role": "user", "content": "a", "name": 1}, r"messages\[0\]\.name"),
        ({"role": "user", "content": "a", "tool_calls": [call("f")]}, r"messages\[0\]\.tool_calls"),
        ({"role": "assistant", "reasoning_content": 1}, r"messages\[0\]\.reasoning_content"),
        ({"role": "assistant", "tool_calls": "f"}, r"messages\[0\]\.tool_calls"),
        ({"role": "assistant", "tool_calls": {"f": 1}}, r"messages\[0\]\.tool_calls"),
        (turn({"id": "a"}), r"tool_calls\[0\]\.function\.name"),
        (turn(call("")), r"tool_calls\[0\]\.function\.name"),
        (turn(call("f", 5)), r"tool_calls\[0\]\.id"),
        (turn(call("f", "x", [1])), r"tool_calls\[0\]\.function\.arguments"),
        (turn(call("f", "x", {"a": float("nan")})), r"tool_calls\[0\]\.function\.arguments"),
        (result("x"), r"messages\[0\]\.tool_call_id 'x'"),
        (result(), r"messages\[0\]\.tool_call_id is missing"),
    ],
)
def test_a_malformed_message_is_refused_by_name(message, field):
    with pytest.raises(RequestError, match=field):
        normalise_messages([message])


@pytest.mark.parametrize("messages", [None, "hello", {"role": "user", "content": "a"}, 5])
def test_messages_must_be_a_list(messages):
    with pytest.raises(RequestError, match="messages"):
        normalise_messages(messages)


@pytest.mark.parametrize(
    "tools",
    [
        "f",
        {"type": "function"},
        [None],
        [{"type": "function"}],
        [{"function": {"name": ""}}],
        [{"function": {"name": "f"}}, {"function": {"name": "f"}}],
        [{"function": {"name": "f", "x": {1, 2}}}],
    ],
)
def test_malformed_tools_are_refused(tools):
    with pytest.raises(RequestError, match="tools"):
        normalise_tools(tools)


def test_calls_in_openais_older_form_are_calls_and_their_results_results():
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}, "refusal": None}
    answer = {"role": "function", "name": "f", "content": "2"}
    first, second, third, fourth = normalise_messages([old, answer, old, answer])
    assert [m["tool_calls"][0]["id"] for m in (first, third)] == ["functions.f:0", "functions.f:1"]
    assert second == {"role": "tool", "content": "2", "tool_call_id": "functions.f:0"}
    assert fourth["tool_call_id"] == "functions.f:1"
    for wrong in ([answer], [old, answer, answer], [old, answer | {"name": "g"}], [old, answer | {"name": None}]):
        with pytest.raises(RequestError, match=r"messages\[\d\]\.name"):
            normalise_messages(wrong)
    with pytest.raises(RequestError, match="function_call"):
        normalise_messages([old | {"tool_calls": [call("f", "a")]}])
    for wrong, at in (("f", "name"), ({"name": "f", "arguments": 5}, "arguments"), ({"name": "f", "foo": 1}, "foo")):
        with pytest.raises(RequestError) as refused:
            normalise_messages([old | {"function_call": wrong}])
        assert refused.value.param == f"messages[0].function_call.{at}"


def test_refusals_are_text():
    part = {"type": "refusal", "refusal": "No."}
    for said in ({"content": [part]}, {"content": None, "refusal": "No."}, {"content": "", "refusal": "No."}):
        assert normalise_messages([{"role": "assistant"} | said]) == [{"role": "assistant", "content": "No."}]


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_details": [{"type": "reasoning.text", "text": "r"}, {"type": "reasoning.encrypted", "data": "x"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "r", "signature": "s"}]},
        {"reasoning": "r", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]},
    ],
    ids=str,
)
def test_reasoning_is_found_in_what_gateways_make_of_it(said):
    [message] = normalise_messages([{"role": "assistant", "content": "a"} | said])
    assert message == {"role": "assistant", "content": "a", "reasoning_content": "r"}


def test_what_clients_send_beside_messages_is_taken():
    nothing = {"annotations": None, "audio": None, "function_call": None, "refusal": None, "made_up": None}
    every = {"name": "", "tool_calls": [], "tool_call_id": "", "partial": False, "cache_control": {"type": "ephemeral"}}
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}, "annotations": []}
    streamed = call("f", "x") | {"index": 0}
    messages = [{"role": "user", "content": [part], **nothing, **every}, turn(streamed) | nothing | {"annotations": []}]
    assert normalise_messages(messages)[0] == {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "user", "content": "a", "foo": 1}, "messages[0].foo"),
        ({"role": "user", "content": "a", "tool_call_id": "x"}, "messages[0].tool_call_id"),
        ({"role": "user", "content": "a", "reasoning_content": "x"}, "messages[0].reasoning_content"),
        ({"role": "assistant", "content": "a", "audio": {"id": "x"}}, "messages[0].audio"),
        ({"role": "user", "content": [{"type": "text", "text": "a", "foo": 0}]}, "messages[0].content[0].foo"),
        (turn(call("f", "x") | {"foo": 1}), "messages[0].tool_calls[0].foo"),
        (turn({"function": {"name": "f", "foo": 1}}), "messages[0].tool_calls[0].function.foo"),
    ],
    ids=str,
)
def test_an_unknown_key_is_refused_by_its_path(message, path):
    with pytest.raises(RequestError, match="Unknown parameter") as refused:
        normalise_messages([message])
    assert (refused.value.param, refused.value.code) == (path, "unknown_parameter")


def test_hints_for_caches_do_not_reach_the_template():
    tool = {"type": "function", "function": {"name": "f", "cache_control": 1}, "cache_control": {"type": "ephemeral"}}
    assert normalise_tools([tool]) == [{"function": {"name": "f"}, "type": "function"}]
