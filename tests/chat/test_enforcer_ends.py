"""Constrained answers come to an end and are valid, under logits that want anything else."""

import json
import os
from functools import partial

import jsonschema
import numpy as np
import pytest

from kimi_cpu.chat import Enforcer, parse_output
from kimi_cpu.chat.ending import MAX_WAY_OUT, JsonState, way_out
from kimi_cpu.chat.grammar import Vocabulary, vocabulary_of
from kimi_cpu.chat.patterns import shortest_match
from kimi_cpu.errors import AnswerError

from .enforcer_schemas import SCHEMAS
from .enforcing import IDS, KIMI, WEATHER, WISHES, check_calls, draw, generate, tool, write

NUM_CALLS = int(os.environ.get("KIMI_CPU_ENFORCER_CALLS", "30"))  # 2000 for the full check, which takes minutes


@pytest.fixture(scope="module")
def wished():
    """For each of WISHES the ids that it prefers."""
    tokens = [KIMI.token_bytes(i) for i in range(KIMI.n_vocab)]
    return [np.array([i for i, t in enumerate(tokens) if set(t) <= set(w)], int) for w in WISHES]


def test_calls_drawn_from_random_logits_are_valid_under_their_schemas(wished):
    for n in range(NUM_CALLS):
        schema, preferred = SCHEMAS[n % len(SCHEMAS)], wished[(n + n // len(SCHEMAS)) % len(WISHES)]
        rng = np.random.default_rng(n)
        enforcer = Enforcer(KIMI, [tool(schema)], "required", next_index=n)
        enforcer.accept(IDS["section"])
        fixed = rng.permutation(KIMI.n_vocab) if n % 7 == 6 else None  # the same logits at every token
        choose = partial(draw, preferred=preferred, rng=rng) if fixed is None else partial(highest_of, fixed)
        check_calls(generate(enforcer, choose), schema, n)


def highest_of(logits, mask):
    return int(np.where(mask, logits, -KIMI.n_vocab).argmax())


@pytest.mark.parametrize("sign", [1, -1])
def test_logits_that_never_change_cannot_keep_a_call_open(sign):
    fixed = sign * np.arange(KIMI.n_vocab)
    for schema in SCHEMAS[2:3] + SCHEMAS[25:26]:
        enforcer = Enforcer(KIMI, [tool(schema)], "required", max_tokens=600)
        enforcer.accept(IDS["section"])
        check_calls(generate(enforcer, partial(highest_of, fixed), 600), schema, 0)


def test_a_call_is_ended_in_time_for_the_request_and_says_so():
    enforcer = Enforcer(KIMI, [tool(WEATHER)], max_tokens=200)
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"city": "')
    spaces = KIMI.encode(" a", special=False)[0]
    ids = generate(enforcer, lambda mask: spaces if mask[spaces] else int(mask.argmax()), 190)
    assert enforcer.cut
    assert json.loads('{"city": "' + KIMI.decode(ids).partition("<|")[0])["city"].startswith(" a a a a")


def test_a_string_that_stops_inside_a_character_is_ended_soon():
    vocabulary = vocabulary_of(KIMI)
    grammar = vocabulary.answer_grammar({"type": "string", "minLength": 200})
    halves = [i for i in range(KIMI.n_vocab) if "\ufffd" in KIMI.decode([i])]
    for half in halves[:: len(halves) // 10]:
        matcher, state = grammar.matcher(), JsonState()
        if not matcher.consume_tokens([KIMI.encode('"')[0], half]):
            continue  # it begins inside a character
        state.feed(b'"' + KIMI.token_bytes(half))
        plan = way_out(vocabulary, grammar, matcher, state, KIMI.token_bytes).tokens
        assert plan is not None
        assert len(plan) < 200


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


def test_random_json_answers_are_valid_under_their_schema(wished):
    for n, schema in enumerate(SCHEMAS[:: 1 if NUM_CALLS > 1000 else 4]):
        asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        enforcer, rng = Enforcer(KIMI, response_format=asked, thinking=True), np.random.default_rng(n)
        write(enforcer, "think_end")
        ids = generate(enforcer, lambda mask, r=rng: draw(mask, wished[1], r))
        jsonschema.validate(json.loads(KIMI.decode(ids[:-1])), schema, jsonschema.Draft202012Validator)


def test_a_text_that_outgrows_the_library_ends_the_answer_alone(monkeypatch):
    enforcer = Enforcer(KIMI, [tool(WEATHER)])
    write(enforcer, "section", "call", "functions.act:0", "arguments", '{"')

    def too_complex(*_):
        raise AnswerError("Too complex.")

    monkeypatch.setattr(Vocabulary, "allowed", too_complex)
    with pytest.raises(AnswerError, match="Too complex"):
        enforcer.mask()


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


LIST = {"type": "array", "items": {"enum": [1, 2]}, "minItems": 250}
ENDLESS = {"type": "array", "minItems": 4000, "items": {"anyOf": [{"$ref": "#"}, {"type": "integer"}]}}


@pytest.mark.parametrize(
    "schema, max_tokens",
    [(LIST, 545), (ENDLESS, 300)],
    ids=["an end that comes no nearer", "no end, and deep"],
)
def test_looking_for_the_end_costs_few_masks_a_token(monkeypatch, schema, max_tokens):
    num_masks, allowed = 0, Vocabulary.allowed

    def counted(vocabulary, matcher):
        nonlocal num_masks
        num_masks += 1
        return allowed(vocabulary, matcher)

    asked = {"type": "json_schema", "json_schema": {"schema": schema}}
    enforcer = Enforcer(KIMI, response_format=asked, max_tokens=max_tokens)
    monkeypatch.setattr(Vocabulary, "allowed", counted)
    bracket, num_tokens, token_id = KIMI.encode("[", special=False)[0], 0, -1
    while num_tokens < max_tokens and token_id not in KIMI.eos_ids:
        token_id = _next(enforcer, bracket)
        enforcer.accept(token_id)
        num_tokens += 1
    assert num_masks < 33 * num_tokens + 2 * MAX_WAY_OUT


def _next(enforcer, preferred):
    """The preferred token where it may come, else the longest."""
    mask, forced = enforcer.mask(), enforcer.forced()
    if forced is not None:
        return forced
    return preferred if mask[preferred] else int((enforcer._vocabulary.lengths * mask).argmax())


def test_the_way_out_of_a_long_constant_is_one_step():
    vocabulary, text = vocabulary_of(KIMI), "ab" * 1020
    grammar = vocabulary.answer_grammar({"const": text})
    found = way_out(vocabulary, grammar, grammar.matcher(), JsonState(), KIMI.token_bytes)
    assert found.num_steps == 1 and KIMI.decode(found.tokens) == json.dumps(text)
