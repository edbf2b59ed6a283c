"""The door for schemas: what JSON Schema forbids, what no document fits and what is too large is refused by place."""

import json
import time

import pytest

from kimi_cpu.chat import Enforcer
from kimi_cpu.chat.grammar import vocabulary_of
from kimi_cpu.chat.patterns import MAX_SIZE, shortest_match, written_out
from kimi_cpu.chat.schema import prepare_schema
from kimi_cpu.chat.schema_document import Limits, SchemaError
from kimi_cpu.errors import RequestError

from .enforcing import IDS, KIMI, refuses, tool, write

EVERYTHING = r"[^\x00-\U0010ffff]"  # the opposite of it


def ref(target):
    return {"$ref": target}


def an_object(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


def answer(schema):
    return Enforcer(KIMI, response_format={"type": "json_schema", "json_schema": {"schema": schema}})


NAMES = {"n": {"anyOf": [{"type": "string", "pattern": f"^p{i}$"} for i in range(4)]}}
FORBIDDEN = [
    ({"type": None}, "$.type"),
    ({"type": 5}, "$.type"),
    ({"type": []}, "$.type"),
    ({"type": "strnig"}, "$.type"),
    ({"format": []}, "$.format"),
    ({"patternProperties": None}, "$.patternProperties"),
    ({"properties": {"a": {"pattern": 5}}}, "$.properties.a.pattern"),
    ({"properties": {"a b": {"required": "a"}}}, "$.properties['a b'].required"),
    ({"properties": {"a": {"required": True}}}, "$.properties.a.required"),
    ({"properties": {"a": 5}}, "$.properties.a"),
    ({"items": [{}, {"minLength": -1}]}, "$.items[1].minLength"),
    ({"items": [{}], "additionalItems": {"enum": 5}}, "$.additionalItems.enum"),
    ({"minimum": "a", "exclusiveMinimum": True}, "$.minimum"),
    ({"anyOf": []}, "$.anyOf"),
    ({"title": 5}, "$.title"),
    ({"$ref": 5}, "$.$ref"),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "type": {}}, "$.type"),
    ({"$ref": "#/components/A", "components": {"A": {"type": 5}}}, "$.components.A.type"),
    ({"$ref": "#/required/0", "required": ["a"]}, "$.required[0]"),
]
ENDLESS = [
    ({"$ref": "#"}, "$.$ref"),
    ({"$ref": "#/$defs/A", "$defs": {"A": ref("#/$defs/A")}}, "$.$defs.A.$ref"),
    ({"$ref": "#/$defs/A", "$defs": {"A": ref("#/$defs/B"), "B": ref("#/$defs/A")}}, "$.$defs.B.$ref"),
    ({"properties": {"a": ref("#/properties/a")}}, "$.properties.a.$ref"),
    ({"allOf": [ref("#")]}, "$.allOf[0]"),
    ({"anyOf": [ref("#"), {"type": "string"}]}, "$.anyOf[0]"),
    (an_object(a=ref("#")), "$"),
    ({"allOf": [{"type": "object"}, {"required": ["a"], "properties": {"a": ref("#")}}]}, "$"),
    ({"type": "array", "items": ref("#"), "minItems": 1}, "$"),
    (
        an_object(a=ref("#/$defs/A"))
        | {"$defs": {"A": {"anyOf": [an_object(b=ref("#")), ref("#/$defs/B")]}, "B": False}},
        "$",
    ),
]
UNMET = [
    (False, "$"),
    (an_object(a=False), "$"),
    ({"enum": []}, "$"),
    (an_object(a={"type": "string", "pattern": EVERYTHING}), "$.properties.a.pattern"),
    ({"properties": {"a": {"pattern": EVERYTHING}}}, "$.properties.a.pattern"),
    ({"patternProperties": {EVERYTHING: {}}}, "$.patternProperties"),
    (an_object(a={"type": "integer", "minimum": 3, "maximum": 2}), "$.properties.a"),
    (an_object(a={"type": "string", "minLength": 3, "maxLength": 2}), "$.properties.a"),
    (an_object(a={"type": "array", "minItems": 3, "maxItems": 2}), "$.properties.a"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "$"),
]
NOT_ENFORCED = [
    (an_object(a={"type": "string", "pattern": "("}), "$.properties.a.pattern"),
    (an_object(a={"type": "string", "pattern": "(?=a)b"}), "$.properties.a.pattern"),
    (an_object(a=ref("#/$defs/x")) | {"$defs": {"x": {"pattern": "*"}}}, "$.$defs.x.pattern"),
    (an_object(a={"not": {}}), "$.properties.a.not"),
    ({"$ref": "#/nothing"}, "$.$ref"),
    ({"$ref": "#nothing"}, "$.$ref"),
    ({"$ref": "https://example.com/a.json"}, "$.$ref"),
    ({"properties": {"a": ref("other.json#/a")}}, "$.properties.a.$ref"),
    (an_object(a={"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}), "$.properties.a"),
    ({"type": "number", "maximum": 10**400}, "$"),
]
TOO_LARGE = [
    ({"type": "object", "required": [f"n{i}" for i in range(20_000)]}, "names"),
    ({"const": "a" * 1_000_000}, "characters"),
    ({"anyOf": [an_object(**{f"a{i}": {}}) for i in range(5_000)]}, "schemas|characters"),
    (
        {"allOf": [{"anyOf": [an_object(**{f"a{i}": {"const": j}}) for j in range(2)]} for i in range(12)]},
        "alternatives",
    ),
    ({"type": "string", "minLength": 10**9}, "minLength"),
    ({"type": "array", "minItems": 10**9}, "minItems"),
    ({"type": "string", "pattern": "(a{4000000000}){1}"}, "repetitions"),
    ({"type": "string", "pattern": "((((a{100}){100}){100}){100}){100}"}, "repetitions"),
    ({"type": "string", "pattern": "^a{1000000000}$"}, "repetitions"),
    ({"type": "string", "pattern": "(?x)a{1000} # )"}, "repetitions"),
    ({"type": "string", "pattern": "a" * 10_000}, "characters"),
    ({"patternProperties": {f"^a{i}": {} for i in range(50)}}, "patternProperties"),
    ({"allOf": [{"type": "string", "pattern": f"a{{{i}}}"} for i in range(24)]}, "patterns"),
    ({"allOf": [an_object(a={"type": "string", "pattern": f"a{{{i}}}"}) for i in range(24)]}, "patterns"),
    ({"enum": list(range(100_000))}, "values|characters"),
]


@pytest.mark.parametrize("schema, place", FORBIDDEN + ENDLESS + UNMET + NOT_ENFORCED)
def test_what_cannot_be_is_refused_with_its_place(schema, place):
    with pytest.raises(RequestError) as refused:
        answer(schema)
    assert f"cannot be enforced: {place}" in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("schema, what", TOO_LARGE)
def test_what_is_too_large_is_refused_before_it_costs(schema, what):
    with pytest.raises(RequestError, match=what):
        answer(schema)


@pytest.mark.parametrize("schema", [schema for schema, _ in FORBIDDEN + ENDLESS + UNMET + NOT_ENFORCED + TOO_LARGE])
def test_a_tool_that_is_not_strict_is_called_with_a_warning(schema):
    enforcer = Enforcer(KIMI, [tool(schema)], "required")
    write(enforcer, "section", "call", "functions.act:0", "arguments")
    assert "act" in enforcer.warnings[0]
    assert not enforcer.mask()[KIMI.encode("[")[0]]  # still an object


@pytest.mark.parametrize("depth", [97, 900, 5000])
def test_a_deep_schema_is_refused(depth):
    answer(json.loads('{"items":' * 90 + "{}" + "}" * 90))
    text = '{"items":' * depth + "{}" + "}" * depth
    with pytest.raises(SchemaError, match="nested"):
        prepare_schema(text, Limits())


def test_a_chain_of_references_is_taken_or_refused_and_no_more():
    for length in (50, 400, 1500):
        defs = {f"d{i}": {"properties": {"a": ref(f"#/$defs/d{i + 1}")}} for i in range(length)}
        schema = {"$ref": "#/$defs/d0", "$defs": defs | {f"d{length}": {}}}
        try:
            answer(schema)
        except RequestError as e:
            assert length > 400 and "nested" in str(e)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf"])
def test_references_that_double_cost_no_more_than_what_they_lead_to(keyword):
    defs = {f"d{i}": {keyword: [ref(f"#/$defs/d{i + 1}")] * 2} for i in range(60)}
    start = time.process_time()
    try:
        answer(ref("#/$defs/d0") | {"$defs": defs | {"d60": {"type": "string"}}})
    except RequestError as e:
        assert "alternatives" in str(e)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "schema, good, bad",
    [
        (True, '{"a"', None),
        ({}, "[1", None),
        (an_object(a=True), '{"a": 5}', "5"),
        (an_object(a={"type": "string", "pattern": "^[^a-z0-9.~-]+$"}), '{"a": "ABC"}', '{"a": "a'),
        (ref("#/components/schemas/A") | {"components": {"schemas": {"A": {"type": "integer"}}}}, "5", '"'),
        (ref("#/components/A%20b~1c~0d") | {"components": {"A b/c~d": {"type": "integer"}}}, "5", '"'),
        (an_object(a={"type": "integer"}, b=ref("#/properties/a")), '{"a": 5, "b": 6}', '{"a": 5, "b": "'),
        ({"items": [{"type": "integer"}], "type": "array"}, '[5, "a"]', '["'),
        ({"prefixItems": [ref("#/items")], "items": {"type": "integer"}, "type": "array"}, "[5, 6]", '["'),
        (ref("#/definitions/A") | {"definitions": {"A": {"type": "integer"}}}, "5", '"'),
        (ref("#A") | {"x": 1, "$defs": {"y": {"$anchor": "A", "type": "integer"}}}, "5", '"'),
        (ref("#A") | {"definitions": {"y": {"$id": "#A", "type": "integer"}}}, "5", '"'),
        ({"$id": "http://a.b/c", "$ref": "d", "$defs": {"y": {"$id": "d", "type": "integer"}}}, "5", '"'),
        ({"$id": "urn:a:b", "$ref": "#/$defs/y", "$defs": {"y": {"type": "integer"}}}, "5", '"'),
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "type": "integer",
                "minimum": 5,
                "exclusiveMinimum": True,
            },
            "6",
            "5",
        ),
        ({"$schema": "https://example.com/never-fetched", "type": "integer"}, "5", '"'),
        ({"type": "string", "minLength": 1.0}, '"a"', '""'),
        ({"type": "string", "maxLength": 10**18}, '"a"', "5"),
        ({"type": "array", "maxItems": 10**30}, "[1, 2]", "5"),
        ({"allOf": [an_object(a=ref("#/$defs/n")), an_object(b=ref("#/$defs/n"))], "$defs": NAMES}, '{"a": "p1"', "5"),
        ({"const": "\ud800"}, '"\ufffd"', '"a'),
        (
            {"type": "object", "properties": {"a": ref("#")}, "additionalProperties": False},
            '{"a": {"a": {}}}',
            '{"a": 5',
        ),
        ({"type": ["object", "null"], "properties": {"a": ref("#")}, "required": ["a"]}, '{"a": {"a": null}}', "5"),
    ],
)
def test_what_can_be_enforced_is(schema, good, bad):
    write(answer(schema), good)
    if bad is not None:
        with pytest.raises(AssertionError, match="masked"):
            write(answer(schema), bad, "end")


def test_the_root_of_arguments_is_an_object_where_what_refers_to_it_need_not_be():
    schema = {"type": ["object", "null"], "properties": {"a": ref("#")}, "required": ["a"]}
    enforcer = Enforcer(KIMI, [tool(schema)], "required")
    write(enforcer, "section", "call", "functions.act:0", "arguments")
    assert refuses(enforcer, "null")
    write(enforcer, '{"a": null}', "call_end")


def test_the_number_of_a_call_is_forced_digit_by_digit():
    enforcer = Enforcer(KIMI, [tool({}, "a"), tool({}, "ab")], next_index=12345)
    write(enforcer, "section", "call", "functions.ab:")
    digits = []
    while (forced := enforcer.forced()) != IDS["arguments"]:
        digits.append(forced)
        enforcer.accept(forced)
    assert KIMI.decode(digits) == "12345"


@pytest.mark.parametrize(
    "pattern, size",
    [
        ("a{10}", 10),
        ("(a{100}){100}", 10_000),
        ("((((a{100}){100}){100}){100}){100}", MAX_SIZE),
        ("a{0000000000000005}", 5),
        ("(a{99999999999999999999}){5}", MAX_SIZE),
        ("[a{5}]{3}", 3),
        ("[](a){5}]b{2}", 3),
        ("[[a](b{4})]{2}", 2),
        (r"\(a{3}\)", 5),
        ("a{2,}b{,7}", 9),
        ("(?x)a", MAX_SIZE),
        ("a|b{3}|(cd){2}", 10),
        ("))))((((", 4),
    ],
)
def test_size_of_a_pattern_with_its_repetitions_written_out(pattern, size):
    assert written_out(pattern) == size


@pytest.mark.parametrize(
    "pattern, example",
    [
        (r"^[^a-z0-9.~-]+$", "_"),
        (r"[^\x00-\x7f]", "é"),
        (r"[^\w\s\x00-\x7f]", "¡"),
        (r"(?i)[^a-z]", "0"),
        (r"(?i:[^a])b", "bb"),
        (r"[^\W\d_]", "a"),
        (r"[^ -~]", "\n"),
        (r"[^\d\D]", None),
        (EVERYTHING, None),
        ("(a{4000000000}){1}", None),
        ("((((a{100}){100}){100}){100}){100}", None),
        ("(()){4000000000}", ""),
        ("(" * 5000, None),
    ],
)
def test_short_matches_of_any_set_cost_little(pattern, example):
    assert shortest_match(pattern) == example


def test_a_schema_that_python_cannot_write_as_json_is_refused():
    loop: dict = {}
    loop["items"] = loop
    for schema in (loop, {"const": float("nan")}, {"const": {1, 2}}, {"minimum": float("inf")}):
        with pytest.raises(RequestError, match="response_format"):
            answer(schema)


def test_places_are_read_as_json_paths_of_bounded_length():
    schema: dict = {"type": 5}
    for _ in range(20):
        schema = {"properties": {"n" * 300: schema}}
    with pytest.raises(SchemaError) as refused:
        prepare_schema(json.dumps(schema), Limits())
    assert str(refused.value).startswith("$.properties.nnn") and len(str(refused.value)) < 600


def ways(name):
    """An object of three properties' worth of characters, and of 1,000 alternatives."""
    bounds = [[{"minLength": i + k} for i in range(10)] for k in (1, 100, 200)]
    return an_object(**{name: {"allOf": [{"anyOf": parts} for parts in bounds]}})


MANY = {
    "characters of JSON": lambda i: an_object(a={"description": f"{i} " + "x" * 200_000}),
    "schemas": lambda i: {"type": "object", "properties": {"a": {"prefixItems": [{"minimum": i}] * 3000}}},
    "names": lambda i: {"type": "object", "required": [f"n{i}x{k}" for k in range(900)]},
    "values": lambda i: an_object(a={"enum": [f"v{i}x{k}" for k in range(3000)]}),
    "patterns": lambda i: an_object(**{f"n{k}": {"type": "string", "pattern": f"^a{i}{k}$"} for k in range(60)}),
    "alternatives": lambda i: ways(f"n{i}"),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("what", MANY)
def test_schemas_of_a_request_together_cost_little_more_than_one(what, strict):
    tools = [tool(MANY[what](i), f"f{i}") for i in range(512)]
    for declared in tools:
        declared["function"]["strict"] = strict
    assert Enforcer(KIMI, tools[:2], "required")
    start = time.process_time()
    with pytest.raises(RequestError, match=f"^tools: .* more than [\\d,]+ {what}.* together") as error:
        Enforcer(KIMI, tools)
    assert error.value.param == "tools"
    assert time.process_time() - start < 10


def test_schemas_that_fail_count_for_what_they_cost():
    tools = [tool({"anyOf": [{"const": i}] * 3900 + [{"pattern": "("}]}, f"f{i}") for i in range(512)]
    with pytest.raises(RequestError, match="^tools: .* together"):
        Enforcer(KIMI, tools)


def test_a_schema_is_compiled_once_for_all_tools_that_have_it():
    vocabulary = vocabulary_of(KIMI)
    vocabulary.compiled.cache_clear()
    Enforcer(KIMI, [tool(an_object(a={"type": "integer"}), f"f{i}") for i in range(100)])
    assert vocabulary.compiled.cache_info().misses == 1


def test_many_small_tools_and_an_answers_schema_are_served():
    tools = [
        tool(an_object(**{f"n{i}x{k}": {"anyOf": [{"type": "string"}, {}]} for k in range(6)}), f"f{i}")
        for i in range(200)
    ]
    assert Enforcer(KIMI, tools, response_format={"type": "json_object"})


def test_the_answers_schema_counts_beside_those_of_tools():
    tools = [tool(MANY["names"](i), f"f{i}") for i in range(13)]
    form = {"type": "json_schema", "json_schema": {"schema": MANY["names"](99)}}
    assert Enforcer(KIMI, tools)
    with pytest.raises(RequestError, match="^response_format: .* names together"):
        Enforcer(KIMI, tools, response_format=form)
