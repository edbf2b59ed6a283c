"""What the mask of constrained decoding allows, phase by phase of an answer."""

import pytest

from kimi_cpu.chat import Enforcer
from kimi_cpu.errors import RequestError

from .enforcing import ALL_IDS, IDS, KIMI, WEATHER, allowed, refuses, tool, write


def test_a_call_that_ends_by_itself_is_not_cut():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], max_tokens=200)
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"city": "Beijing"}', "call_end", "section_end")
    assert not enforcer.cut
    assert allowed(enforcer) == set(KIMI.eos_ids)


def test_text_is_free_but_for_the_inner_tool_tokens():
    enforcer = Enforcer(KIMI, [tool(WEATHER)])
    inner = {IDS[name] for name in ("section_end", "call", "arguments", "call_end")}
    for text in ("think", "Hm.", "think_end", "So:", "think", "more"):
        assert allowed(enforcer) == ALL_IDS - inner
        write(enforcer, text)


def test_a_section_may_begin_while_thinking():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], thinking=True)
    write(enforcer, "Let me look", "section")
    assert enforcer.forced() == IDS["call"]


def test_only_declared_names_and_the_next_number_can_be_written():
    enforcer = Enforcer(KIMI, [tool(WEATHER, "get_weather"), tool(WEATHER, "get_wind-2")], next_index=41)
    write(enforcer, "section", "call")
    assert refuses(enforcer, "get_weather")
    write(enforcer, "functions.get_w")
    assert refuses(enforcer, "x")
    write(enforcer, "ind-2:41")
    assert enforcer.forced() == IDS["arguments"]
    write(enforcer, "arguments", '{"city":"Oslo", "days": 3}', "call_end", "call", "functions.get_weather:42")


def test_arguments_keep_to_the_schema_and_need_its_required_names():
    enforcer = Enforcer(KIMI, [tool(WEATHER)])
    write(enforcer, "section", "call", "functions.act:0", "arguments")
    assert refuses(enforcer, "[")
    write(enforcer, '{"')
    assert refuses(enforcer, "days")
    write(enforcer, 'city": "Rom')
    assert IDS["call_end"] not in allowed(enforcer)
    write(enforcer, '", "days":')
    assert refuses(enforcer, "0")
    write(enforcer, " 3")
    assert refuses(enforcer, "0")
    write(enforcer, "}")
    assert allowed(enforcer) == {IDS["call_end"]}


def test_a_marker_spelled_in_a_string_is_text():
    enforcer = Enforcer(KIMI, [tool(WEATHER)])
    city = '{"city": "<|tool_call_end|>"}'
    write(enforcer, "section", "call", "functions.act:0", "arguments", city, "call_end", "section_end", "end")


def test_required_lets_only_a_section_follow_the_thinking():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], "required")
    assert allowed(enforcer) == {IDS["think"], IDS["section"]}
    write(enforcer, "think", "Well.")
    assert not set(KIMI.eos_ids) & allowed(enforcer)
    write(enforcer, "think_end")
    assert enforcer.forced() == IDS["section"]


def test_where_calls_may_not_be_parallel_one_ends_the_section():
    call = ("section", "call", "functions.act:0", "arguments", '{"city":"Rome"}', "call_end")
    for parallel, after in ((False, {"section_end"}), (True, {"section_end", "call"})):
        enforcer = Enforcer(KIMI, [tool(WEATHER)], parallel_tool_calls=parallel)
        write(enforcer, *call)
        assert allowed(enforcer) == {IDS[name] for name in after}


def test_thinking_that_no_answer_need_follow_is_not_ended():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], thinking=True, max_tokens=10)
    write(enforcer, " a" * 10)
    assert enforcer.forced() is None


def test_a_named_choice_allows_that_function_alone():
    tools = [tool(WEATHER, "rain"), tool(WEATHER, "snow")]
    enforcer = Enforcer(KIMI, tools, {"type": "function", "function": {"name": "snow"}}, thinking=True)
    write(enforcer, "think_end", "section", "call", "functions")
    assert refuses(enforcer, ".rain")
    write(enforcer, ".snow:0")


@pytest.mark.parametrize("options", [{"tools": [tool(WEATHER)], "tool_choice": "none"}, {"tools": None}])
def test_without_tools_no_section_can_begin(options):
    enforcer = Enforcer(KIMI, **options)
    for part in ("think", "a", "think_end", "b"):
        assert IDS["section"] not in allowed(enforcer)
        write(enforcer, part)
    write(enforcer, "end")


def test_a_json_answer_follows_free_thinking_and_nothing_follows_it():
    enforcer = Enforcer(KIMI, response_format={"type": "json_object"}, thinking=True)
    write(enforcer, "No JSON here")
    assert not set(KIMI.eos_ids) & allowed(enforcer)
    write(enforcer, "think_end")
    assert refuses(enforcer, "Here")
    write(enforcer, '{"a": [1, {"b": null}]}')
    assert allowed(enforcer) == set(KIMI.eos_ids)


def test_a_json_answer_may_begin_at_once_or_be_a_call():
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}}
    write(Enforcer(KIMI, response_format=schema), "12", "end")
    write(Enforcer(KIMI, response_format=schema), "think", "Hm", "think_end", "7", "end")
    write(Enforcer(KIMI, [tool(WEATHER)], response_format=schema), "section", "call")
    assert IDS["section"] not in allowed(Enforcer(KIMI, response_format=schema))


def test_a_tool_without_parameters_takes_an_empty_object():
    enforcer = Enforcer(KIMI, [{"type": "function", "function": {"name": "now"}}])
    write(enforcer, "section", "call", "functions.now:0", "arguments", "{}", "call_end")


def test_annotations_and_unknown_formats_assert_nothing():
    schema = {
        "type": "object",
        "title": "T",
        "x-order": 1,
        "properties": {"title": {"type": "string", "format": "path"}},
    }
    enforcer = Enforcer(KIMI, [tool(schema)])
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"title": "x"}', "call_end")


@pytest.mark.parametrize(
    "keyword, schema",
    [
        ("uniqueItems", {"type": "array", "uniqueItems": True}),
        ("not", {"not": {"type": "string"}}),
        ("if", {"if": {}, "then": {}}),
        ("oneOf", {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}),
        ("minProperties", {"type": "object", "minProperties": 3}),
        ("look-around", {"type": "string", "pattern": "(?=a)b"}),
        ("Unsatisfiable", {"type": "integer", "minimum": 3, "maximum": 2}),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_cannot_be_enforced_is_refused_by_name_or_told_of_when_the_tool_is_called(keyword, schema, strict):
    declared = tool({"type": "object", "properties": {"a": schema}, "required": ["a"]})
    declared["function"]["strict"] = strict
    if strict:
        with pytest.raises(RequestError, match=f"The tool 'act' .*{keyword}"):
            Enforcer(KIMI, [declared])
        return
    enforcer = Enforcer(KIMI, [declared])
    write(enforcer, "section", "call", "functions.act:0")
    assert enforcer.warnings == []
    write(enforcer, "arguments")
    assert keyword in "".join(enforcer.warnings)


def test_an_answer_schema_that_cannot_be_enforced_is_refused():
    wrapped = {"type": "json_schema", "json_schema": {"schema": {"type": "array", "uniqueItems": True}}}
    with pytest.raises(RequestError, match="response_format .*uniqueItems"):
        Enforcer(KIMI, response_format=wrapped)


def test_what_can_be_enforced_of_a_schema_is():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "not": {"minProperties": 9},
    }
    enforcer = Enforcer(KIMI, [tool(schema)])
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"a": ')
    assert refuses(enforcer, '"') and not refuses(enforcer, "5")


def test_properties_come_in_the_order_in_which_the_model_sees_them():
    schema = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}}
    write(Enforcer(KIMI, [tool(schema)]), "section", "call", "functions.act:0", "arguments", '{"a": 1, "b": 2}')
    enforcer = Enforcer(KIMI, response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    write(enforcer, '{"b": 1, "a": 2}', "end")


@pytest.mark.parametrize("kind", [{"type": ["object", "null"]}, {}])
def test_arguments_are_an_object_whatever_the_schema_allows(kind):
    schema = kind | {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "boolean"}}}
    enforcer = Enforcer(KIMI, [tool(schema)])
    write(enforcer, "section", "call", "functions.act:0", "arguments")
    assert refuses(enforcer, "null")
    write(enforcer, '{"a": true}', "call_end")
    assert enforcer.warnings == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tool_choice": "required"}, "no tools are declared"),
        ({"tool_choice": "always"}, "'always'"),
        ({"tool_choice": {"type": "function", "function": {"name": "gone"}}}, "'gone'"),
        ({"tools": [tool(WEATHER), tool(WEATHER)]}, "declared twice"),
        ({"tools": [tool(WEATHER, "a:b")]}, "'a:b'"),
        ({"tools": [tool([1])]}, r"\[1\]"),
        ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)
def test_a_malformed_request_is_refused(options, message):
    with pytest.raises(RequestError, match=message):
        Enforcer(KIMI, **options)


def test_a_token_outside_the_mask_is_refused():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], "required")
    with pytest.raises(ValueError, match="not allowed"):
        enforcer.accept(KIMI.encode("a")[0])
    write(enforcer, "section")
    with pytest.raises(ValueError, match="not allowed"):
        enforcer.accept(IDS["section_end"])


@pytest.mark.parametrize(
    "schema, good, bad",
    [
        ({"type": "number", "exclusiveMaximum": 1}, "0.99", "0.99999999999999999"),
        ({"type": "number", "exclusiveMinimum": 1000}, "1000.5", "1000.00000000000001"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-10}, "0.00000000005", "0.01"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, "0.5", "0.0000000000000001"),
        ({"type": "number", "minimum": 5, "exclusiveMinimum": 0}, "5", "4"),
        ({"type": "number", "exclusiveMaximum": 0}, "-0.5", "-0.0000000000000001"),
        ({"type": "number", "exclusiveMinimum": -1}, "-0.99", "-0.99999999999999999"),
        ({"type": "integer"}, "175928847299117063", "9" * 40),
        ({"type": "integer", "exclusiveMinimum": 0}, "1", "0"),
        ({"type": ["integer", "null"], "minimum": 7, "multipleOf": 7}, "49", "9007199254740999"),
    ],
)
def test_numbers_are_valid_as_they_are_read(schema, good, bad):
    response_format = {"type": "json_schema", "json_schema": {"schema": schema}}
    write(Enforcer(KIMI, response_format=response_format), good, "end")
    with pytest.raises(AssertionError, match="masked"):
        write(Enforcer(KIMI, response_format=response_format), bad, "end")
