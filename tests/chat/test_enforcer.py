"""The mask of constrained decoding, under logits that want anything but the end."""

import json
import os
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from kimi_cpu.chat import Enforcer, parse_output
from kimi_cpu.chat.closing import JsonState, closing_tokens
from kimi_cpu.chat.grammar import Vocabulary, vocabulary_of
from kimi_cpu.chat.schema import shortest_match
from kimi_cpu.errors import RequestError
from kimi_cpu.tokenizer import Tokenizer

from .enforcer_schemas import SCHEMAS

NUM_CALLS = int(os.environ.get("KIMI_CPU_ENFORCER_CALLS", "30"))  # 2000 for the full check, which takes minutes
MAX_CALL_TOKENS = 4096
CALL = re.compile(
    r"<\|tool_call_begin\|>functions\.([\w.-]+):(\d+)<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>", re.DOTALL
)
WISHES = [  # bytes that a token must be made of for the stub to prefer it; none: every token is as good
    b"",
    b'{}[]",: ',
    b"0123456789.eE+-,",
    b"[{",
    b' \n\t,"',
    b'"}],:aeinrst',
]
MARKERS = {
    "section": "<|tool_calls_section_begin|>",
    "section_end": "<|tool_calls_section_end|>",
    "call": "<|tool_call_begin|>",
    "arguments": "<|tool_call_argument_begin|>",
    "call_end": "<|tool_call_end|>",
    "think": "<think>",
    "think_end": "</think>",
    "end": "<|im_end|>",
}


KIMI = Tokenizer.load(Path(__file__).parents[1] / "data" / "tiktoken.model")
IDS = {name: KIMI.special_tokens[text] for name, text in MARKERS.items()}
ALL_IDS = set(range(KIMI.n_vocab))
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def wished():
    """For each of WISHES the ids that it prefers."""
    tokens = [KIMI.token_bytes(i) for i in range(KIMI.n_vocab)]
    return [np.array([i for i, t in enumerate(tokens) if set(t) <= set(w)], int) for w in WISHES]


def tool(schema, name="act"):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def draw(mask, preferred, rng):
    """The best of random logits under a mask, of the preferred tokens nine times in ten."""
    if len(preferred) and rng.random() < 0.9:
        allowed = preferred[mask[preferred]]
        if len(allowed):
            return int(rng.choice(allowed))
    for token_id in rng.integers(0, len(mask), 32):
        if mask[token_id]:
            return int(token_id)
    return int(rng.choice(np.flatnonzero(mask)))


def generate(enforcer, choose, limit=MAX_CALL_TOKENS):
    """Ids up to the end token, which is among them; AssertionError: none within the limit."""
    ids = []
    while len(ids) < limit:
        mask, forced = enforcer.mask(), enforcer.forced()
        assert mask.any()
        assert forced is None or mask[forced]
        ids.append(choose(mask) if forced is None else forced)
        enforcer.accept(ids[-1])
        if ids[-1] in KIMI.eos_ids:
            return ids
    raise AssertionError(f"cut off: {KIMI.decode(ids[-100:])!r}")


def check_calls(ids, schema, first):
    """That the ids are a whole section of valid calls, numbered from `first`."""
    calls = CALL.findall(KIMI.decode(ids))
    assert calls
    for i, (name, index, arguments) in enumerate(calls):
        assert (name, int(index)) == ("act", first + i)
        jsonschema.validate(json.loads(arguments), schema, jsonschema.Draft202012Validator)
    whole = "".join(
        f"{MARKERS['call']}functions.{n}:{i}{MARKERS['arguments']}{a}{MARKERS['call_end']}" for n, i, a in calls
    )
    assert KIMI.decode(ids[:-1]) == whole + MARKERS["section_end"]


def allowed(enforcer):
    mask = enforcer.mask()
    return set(np.flatnonzero(mask).tolist()) if mask is not None else ALL_IDS


def write(enforcer, *parts):
    """Accepts control tokens by their name in IDS, and the tokens of other texts; each must be allowed."""
    for part in parts:
        for token_id in [IDS[part]] if part in IDS else KIMI.encode(part, special=False):
            mask = enforcer.mask()
            assert mask is None or mask[token_id], f"{KIMI.decode([token_id])!r} of {part!r} is masked"
            enforcer.accept(token_id)


def refuses(enforcer, text):
    """Whether the first token of a text is masked."""
    return not enforcer.mask()[KIMI.encode(text, special=False)[0]]


def test_calls_drawn_from_random_logits_are_valid_under_their_schemas(wished):
    for n in range(NUM_CALLS):
        schema, preferred = SCHEMAS[n % len(SCHEMAS)], wished[(n + n // len(SCHEMAS)) % len(WISHES)]
        rng = np.random.default_rng(n)
        enforcer = Enforcer(KIMI, [tool(schema)], "required", next_index=n)
        enforcer.accept(IDS["section"])
        check_calls(generate(enforcer, lambda mask, p=preferred, r=rng: draw(mask, p, r)), schema, n)


@pytest.mark.parametrize("highest", [True, False])
def test_logits_that_never_change_cannot_keep_a_call_open(highest):
    fixed = np.arange(KIMI.n_vocab) if highest else -np.arange(KIMI.n_vocab)
    for schema in SCHEMAS[2:3] + SCHEMAS[25:26]:
        enforcer = Enforcer(KIMI, [tool(schema)], "required", max_tokens=600)
        enforcer.accept(IDS["section"])
        check_calls(generate(enforcer, lambda mask: int(np.where(mask, fixed, -KIMI.n_vocab).argmax()), 600), schema, 0)


def test_a_call_is_ended_in_time_for_the_request_and_says_so():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], max_tokens=200)
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"city": "')
    spaces = KIMI.encode(" a", special=False)[0]
    ids = generate(enforcer, lambda mask: spaces if mask[spaces] else int(mask.argmax()), 190)
    assert enforcer.cut
    assert json.loads('{"city": "' + KIMI.decode(ids).partition("<|")[0])["city"].startswith(" a a a a")


def test_a_string_that_stops_inside_a_character_is_ended_soon():
    vocabulary = vocabulary_of(KIMI)
    grammar = vocabulary.json_grammar({"type": "string", "minLength": 200}, "It", is_object=False)
    halves = [i for i in range(KIMI.n_vocab) if "\ufffd" in KIMI.decode([i])]
    for half in halves[:: len(halves) // 10]:
        matcher, state = grammar.matcher(), JsonState()
        if not matcher.consume_tokens([KIMI.encode('"')[0], half]):
            continue  # it begins inside a character
        state.feed(b'"' + KIMI.token_bytes(half))
        plan = closing_tokens(vocabulary, grammar, matcher, state, KIMI.token_bytes)
        assert plan is not None
        assert len(plan) < 200


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


@pytest.mark.parametrize(
    "options", [{"tools": [tool(WEATHER)], "tool_choice": "required"}, {"response_format": {"type": "json_object"}}]
)
@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_leaves_room_for_an_answer_that_must_come(options, thinking):
    enforcer = Enforcer(KIMI, **options, thinking=thinking, max_tokens=100)
    word = KIMI.encode(" a", special=False)[0]
    wishes = [word, IDS["think"]]
    ids = generate(enforcer, lambda mask: next((i for i in wishes if mask[i]), int(mask.argmax())), 100)
    message = parse_output(ids, KIMI, ["act"], thinking)
    assert message.reasoning_content.startswith(" a a a a")
    assert message.tool_calls if "tools" in options else isinstance(json.loads(message.content), dict)


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


def test_random_json_answers_are_valid_under_their_schema(wished):
    for n, schema in enumerate(SCHEMAS[:: 1 if NUM_CALLS > 1000 else 4]):
        asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        enforcer, rng = Enforcer(KIMI, response_format=asked, thinking=True), np.random.default_rng(n)
        write(enforcer, "think_end")
        ids = generate(enforcer, lambda mask, r=rng: draw(mask, wished[1], r))
        jsonschema.validate(json.loads(KIMI.decode(ids[:-1])), schema, jsonschema.Draft202012Validator)


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
        ("unsatisfiable", {"type": "integer", "minimum": 3, "maximum": 2}),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(keyword, schema):
    with pytest.raises(RequestError, match=f"The tool 'act' .*{keyword}"):
        Enforcer(KIMI, [tool({"type": "object", "properties": {"a": schema}, "required": ["a"]})])


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


def test_a_text_that_outgrows_the_library_ends_the_answer_alone(monkeypatch):
    enforcer = Enforcer(KIMI, [tool(WEATHER)])
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"')

    def too_complex(*_):
        raise RequestError("Too complex.")

    monkeypatch.setattr(Vocabulary, "allowed", too_complex)
    assert allowed(enforcer) == set(KIMI.eos_ids)
    assert enforcer.error == "Too complex."


@pytest.mark.parametrize(
    "pattern, example",
    [
        (r"\.(txt|md)$", ".md"),
        (r"^[A-Z]{2}-\d+$", "A" * 2 + "-0"),
        (r"^\w+@[^@\s]+?\.com$", "a@a.com"),
        (r"^[^a-z0]*x?$", ""),
        ("(?=a)a", None),
        ("(", None),
    ],
)
def test_short_matches_of_patterns(pattern, example):
    assert shortest_match(pattern) == example
