"""The parser, against the goldens, against turns built from known parts, and against itself however ids are cut."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_cpu.chat.parser import NO_CALL_WARNING, Delta, OutputParser, join, parse_output
from kimi_cpu.tokenizer import Tokenizer

KIMI = Tokenizer.load(Path(__file__).parents[1] / "data" / "tiktoken.model")
GOLDENS = json.loads((Path(__file__).parent / "toolcall_golden.json").read_text())["cases"]
BEGIN, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, ARGS, CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
MARKERS = ["<think>", "</think>", BEGIN, END, CALL, ARGS, CALL_END]
OTHERS = ["<|im_end|>", "[EOS]", "<|im_middle|>", "<|reserved_token_163589|>"]
TOOLS = ["search", "get_weather", "my-mcp-tool", "s3_bucket2", "bash"]
BYTE_ID = {KIMI.token_bytes(i): i for i in range(256)}

prose = st.one_of(
    st.text(max_size=12), st.sampled_from([" \n", "北京 😀", "a < b", "<|tool_call_section_begin|>", "</think>"])
)


def call(header, arguments="{}", end=CALL_END):
    return f"{CALL}{header}{ARGS}{arguments}{end}"


def section(*calls):
    return BEGIN + "".join(calls) + END


def parse(raw, tools=TOOLS, thinking=False, reason=None):
    return parse_output(KIMI.encode(raw), KIMI, tools, thinking, reason)


def deltas(ids, tools=TOOLS, thinking=False, reason=None):
    parser = OutputParser(KIMI, tools, thinking)
    return [*map(parser.push, ids), parser.finish(reason)]


def read(message):
    return [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message.tool_calls]


@pytest.mark.parametrize("case", GOLDENS, ids=lambda case: case["name"])
def test_golden_agrees(case):
    message, expected = parse(case["raw"], case["tools"]), case["expected"]
    assert message.reasoning_content == expected["reasoning_content"]
    assert message.content == expected["content"]
    assert list(message.tool_calls) == expected["tool_calls"]
    assert message.finish_reason == expected["finish_reason"]


# Any cutting of the ids

turn_parts = st.lists(
    st.one_of(
        st.sampled_from(MARKERS + OTHERS),
        st.sampled_from(["functions.search:0", "functions_bash_1", "call_abc", "7", '{"q": "北"}', "{", " \n", "x"]),
        st.tuples(prose),
    ),
    max_size=14,
)


def ids_of(parts, cut=None):
    """Ids of parts: control tokens, and ordinary text (in a tuple or not), by bytes where `cut` says so."""
    ids = []
    for n, part in enumerate(parts):
        text = part[0] if isinstance(part, tuple) else part
        if cut is not None and cut[n % len(cut)] and part not in MARKERS + OTHERS:
            ids += [BYTE_ID[bytes([b])] for b in text.encode("utf-8", "replace")]
        else:
            ids += KIMI.encode(text, special=not isinstance(part, tuple))
    return ids


@settings(max_examples=300, deadline=None)
@given(
    turn_parts,
    st.lists(st.booleans(), min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from([None, "stop", "length"]),
)
def test_any_chunking_of_the_ids_joins_to_what_parse_output_says(parts, cut, thinking, reason):
    whole = parse_output(ids_of(parts), KIMI, TOOLS, thinking, reason)
    pieces = deltas(ids_of(parts, cut), TOOLS, thinking, reason)
    assert join(pieces) == whole
    assert (whole.content or "") == "".join(d.content for d in pieces)
    assert (whole.reasoning_content or "") == "".join(d.reasoning_content for d in pieces)
    arguments = {}
    for delta in pieces:
        for piece in delta.tool_calls:
            arguments[piece["index"]] = arguments.get(piece["index"], "") + piece["function"]["arguments"]
    assert list(arguments.items()) == [(i, c["function"]["arguments"]) for i, c in enumerate(whole.tool_calls)]


@settings(max_examples=100, deadline=None)
@given(turn_parts, st.sampled_from([None, "stop", "length"]))
def test_no_control_token_ever_becomes_text(parts, reason):
    parts = [part for part in parts if not isinstance(part, tuple)]
    message = parse_output(ids_of(parts), KIMI, TOOLS, False, reason)
    texts = [message.content, message.reasoning_content, *(a for c in read(message) for a in c)]
    assert not any(marker in text for text in texts if text for marker in MARKERS + OTHERS)


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=20),
    st.text(max_size=20),
    st.lists(st.tuples(st.sampled_from(TOOLS), st.dictionaries(st.text(max_size=6), st.text(max_size=12))), max_size=4),
)
def test_a_well_formed_turn_comes_back_as_it_was_built(reasoning, content, calls):
    ids = KIMI.encode("<think>") + KIMI.encode(reasoning, special=False) + KIMI.encode("</think>")
    ids += KIMI.encode(content, special=False)
    headers = [f"functions.{name}:{n}" for n, (name, _) in enumerate(calls, 5)]
    if calls:
        ids += KIMI.encode(BEGIN)
        for header, (_, arguments) in zip(headers, calls, strict=True):
            ids += KIMI.encode(CALL + header + ARGS)
            ids += KIMI.encode(json.dumps(arguments, ensure_ascii=False), special=False) + KIMI.encode(CALL_END)
        ids += KIMI.encode(END)
    message = parse_output([*ids, *KIMI.encode("<|im_end|>")], KIMI, TOOLS)
    assert message.reasoning_content == (reasoning.rstrip() or None)
    assert message.content == (None if calls and not content.strip() else content or None)
    assert [c[0] for c in read(message)] == headers
    assert [json.loads(c[2]) for c in read(message)] == [arguments for _, arguments in calls]
    assert message.finish_reason == ("tool_calls" if calls else "stop")
    assert message.warnings == ()


# Streaming


def test_every_character_comes_as_soon_as_its_last_byte():
    ids = [BYTE_ID[bytes([b])] for b in "é北😀".encode()]
    assert [d.content for d in deltas(ids)] == ["", "é", "", "", "北", "", "", "", "😀", ""]


def test_the_name_comes_before_the_arguments_and_these_as_they_are_written():
    raw = section(call("functions.search:3", '{"query": "a long question about the weather"}'))
    calls = [d.tool_calls for d in deltas(KIMI.encode(raw)) if d.tool_calls]
    function = {"name": "search", "arguments": ""}
    assert calls[0] == ({"index": 0, "id": "functions.search:3", "type": "function", "function": function},)
    assert len(calls) > 5
    assert all(set(c) == {"index", "function"} and set(c["function"]) == {"arguments"} for (c,) in calls[1:])


def test_only_the_last_delta_carries_finish_reason_and_warnings():
    pieces = deltas(KIMI.encode(section(call("nobody"))))
    assert {d.finish_reason for d in pieces[:-1]} == {None}
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].warnings == (NO_CALL_WARNING,)
    assert not any(d.warnings for d in pieces[:-1])


def test_an_id_that_adds_nothing_gives_an_empty_delta():
    first = OutputParser(KIMI).push(KIMI.special_tokens["<think>"])
    assert first == Delta() and not first


# Where reasoning ends


def test_a_prompt_that_ends_inside_think_begins_with_reasoning():
    message = parse("one</think>two", thinking=True)
    assert (message.reasoning_content, message.content) == ("one", "two")
    assert parse("one", thinking=True).finish_reason == "length"


@pytest.mark.parametrize("thinking", [False, True])
def test_a_section_may_begin_while_thinking_is_open(thinking):
    raw = "look it up \n" + section(call("functions.search:0")) + "</think>done"
    message = parse(raw if thinking else "<think>" + raw, thinking=thinking)
    assert (message.reasoning_content, message.content) == ("look it up", None)
    assert read(message) == [("functions.search:0", "search", "{}")]


def test_control_tokens_typed_as_text_are_text():
    typed = f"use </think> or {BEGIN}{CALL}functions.bash:0{ARGS}{{}}{CALL_END}{END}<|im_end|>"
    message = parse_output(KIMI.encode(typed, special=False), KIMI, TOOLS)
    assert (message.content, message.tool_calls) == (typed, ())
    in_arguments = KIMI.encode(BEGIN + CALL + "functions.bash:0" + ARGS)
    in_arguments += KIMI.encode(json.dumps(typed), special=False) + KIMI.encode(CALL_END + END)
    assert read(parse_output(in_arguments, KIMI, TOOLS))[0][2] == json.dumps(typed)


def test_the_misspelled_section_marker_is_text_unless_a_call_follows():
    raw = "The marker <|tool_call_section_begin|> begins it. <|tool_call_section_begin|>"
    assert parse(raw).content == raw
    assert parse(f"Hi <|tool_call_section_begin|>\n{call('functions.bash:0')}").content == "Hi "


def test_words_behind_the_misspelled_marker_make_it_text_even_if_a_call_follows():
    raw = "<|tool_call_section_begin|> looks like this: "
    assert parse(raw + call("functions.bash:0")).content == raw


def test_whitespace_at_the_end_of_cut_reasoning_does_not_become_content():
    message = parse("<think>well, \n", reason="length")
    assert (message.reasoning_content, message.content, message.finish_reason) == ("well,", None, "length")


def test_a_stray_think_end_takes_no_whitespace_away():
    assert parse("<think>a</think>\n\n</think>b").content == "\n\nb"


def test_half_a_character_stays_on_its_side_of_a_marker():
    half = BYTE_ID[b"\xe5"]
    message = parse_output([*KIMI.encode("<think>"), half, *KIMI.encode("</think>x")], KIMI)
    assert (message.reasoning_content, message.content) == ("\ufffd", "x")


# Sections and calls


def test_several_calls_and_sections_are_counted_from_0_in_order():
    raw = section(call("functions.search:7"), " and ", call("functions.bash:9")) + section(call("functions.search:10"))
    calls = [c for d in deltas(KIMI.encode(raw)) for c in d.tool_calls if "id" in c]
    assert [(c["index"], c["id"]) for c in calls] == [
        (0, "functions.search:7"),
        (1, "functions.bash:9"),
        (2, "functions.search:10"),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("functions.bash:0", ("functions.bash:0", "bash")),
        ("bash:4", ("bash:4", "bash")),
        ("functions.not_declared:1", ("functions.not_declared:1", "not_declared")),
        ("functions_s3_bucket2_0", ("functions.s3_bucket2:0", "s3_bucket2")),
        ("functions.bash30", ("functions.bash:30", "bash")),
        ("functionsbash5", ("functions.bash:5", "bash")),
        ("functions(bash):2.0", ("functions.bash:2", "bash")),
        ("functions.my_mcp_tool:1", ("functions.my-mcp-tool:1", "my-mcp-tool")),
    ],
)
def test_a_header_is_read_as_the_tool_that_it_means(header, expected):
    assert [c[:2] for c in read(parse(section(call(header))))] == [expected]


@pytest.mark.parametrize(
    "header", ["", "bash", "functions.bash", "functions_s3_bucket2", "0", "nobody_0", "functions.:1"]
)
def test_a_section_without_a_readable_call_becomes_content(header):
    message = parse("<think>t</think>So: " + section(call(header, '{"x": 1}')) + " Bye.", reason="stop")
    assert message.content == f'So: {header}{{"x": 1}} Bye.'
    assert (message.tool_calls, message.finish_reason, message.warnings) == ((), "stop", (NO_CALL_WARNING,))


def test_a_misspelled_section_without_a_readable_call_becomes_content_without_its_marker():
    message = parse(f"<|tool_call_section_begin|>{call('nobody')}<|tool_call_section_end|>", reason="stop")
    assert (message.content, message.warnings) == ("nobody{}", (NO_CALL_WARNING,))


def test_a_header_that_the_model_itself_leaves_open_becomes_content():
    message = parse(f"{BEGIN}{CALL}functions.sea<|im_end|>")
    assert (message.content, message.finish_reason) == ("functions.sea", "stop")
    assert message.warnings == (NO_CALL_WARNING,)


def test_an_unreadable_call_beside_readable_ones_is_told_of():
    message = parse(section(call("nobody", '{"x": 1}'), call("functions.bash:1")))
    assert read(message) == [("functions.bash:1", "bash", "{}")]
    assert (message.content, message.finish_reason) == (None, "tool_calls")
    assert len(message.warnings) == 1 and 'nobody{"x": 1}' in message.warnings[0]


def test_an_openai_id_is_rejected_and_told_of():
    message = parse(section(call("call_a1B2c3", '{"x": 1}')))
    assert (message.content, message.tool_calls, message.finish_reason) == (None, (), "stop")
    assert len(message.warnings) == 1 and 'call_a1B2c3{"x": 1}' in message.warnings[0]


def test_with_no_tools_at_all_a_call_becomes_content():
    message = parse(section(call("functions.bash:0")), tools=[])
    assert (message.content, message.tool_calls, message.finish_reason) == ("functions.bash:0{}", (), "stop")


def test_with_unknown_tools_only_headers_as_taught_are_read():
    assert read(parse(section(call("functions.any:0")), tools=None)) == [("functions.any:0", "any", "{}")]
    assert read(parse(section(call("functions_any_0")), tools=None)) == []


def test_tools_may_be_given_in_openai_form():
    tools = [{"type": "function", "function": {"name": "bash", "parameters": {}}}]
    assert read(parse(section(call("3")), tools=tools)) == [("functions.bash:3", "bash", "{}")]


def test_blank_arguments_are_an_empty_object():
    assert read(parse(section(call("functions.bash:0", " \n"))))[0][2] == "{}"


def test_arguments_have_no_size_limit():
    text = json.dumps({"text": "lang und länger " * 4000}, ensure_ascii=False)
    assert read(parse(section(call("functions.bash:0", text))))[0][2] == text


# How it ends


@pytest.mark.parametrize(("reason", "expected"), [("stop", "tool_calls"), ("length", "length"), (None, "length")])
def test_arguments_cut_off_are_given_as_far_as_they_came(reason, expected):
    message = parse(f'{BEGIN}{CALL}functions.bash:0{ARGS}{{"cmd": "l ', reason=reason)
    assert (read(message)[0][2], message.finish_reason) == ('{"cmd": "l', expected)


def test_a_stop_token_in_the_arguments_ends_the_call():
    message = parse(f"{BEGIN}{CALL}functions.bash:0{ARGS}{{}}<|im_end|>")
    assert (read(message)[0][2], message.finish_reason) == ("{}", "tool_calls")


def test_a_call_cut_off_before_its_arguments_is_not_taken_for_one_without():
    message = parse(f"{BEGIN}{CALL}functions.bash:0{ARGS}", reason="length")
    assert (read(message)[0][2], message.finish_reason) == ("", "length")


def test_a_turn_may_end_right_after_thinking():
    message = parse("<think>t</think><|im_end|>")
    assert (message.reasoning_content, message.content, message.finish_reason) == ("t", None, "stop")


def test_half_a_character_at_the_end_is_shown_as_replaced():
    assert parse_output([BYTE_ID[b"\xe5"], BYTE_ID[b"\x8c"]], KIMI).content == "\ufffd"
