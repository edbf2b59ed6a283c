"""Schemas drawn from a grammar of hostility: each is refused with a sentence, or an answer can begin under it."""

import json
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_cpu.chat import Enforcer
from kimi_cpu.chat.ending import JsonState, way_out
from kimi_cpu.errors import AnswerError, RequestError

from .enforcing import KIMI, tool, write

NAMES = st.sampled_from(["a", "b", "$ref", "", "a/b~c", "\ud800", "é" * 40, "type"])
NUMBERS = st.sampled_from([0, 1, -1, 5.0, 2.5, 1e-300, 1e308, 10**30, 2**53, 4096, 4097, True, None, "1"])
PATTERNS = st.sampled_from(
    [
        "",
        "^a+$",
        "[^a-z0-9.~-]",
        "(",
        "(?=a)",
        "a{1000000000}",
        "((a{50}){50}){50}",
        r"[^\x00-\U0010ffff]",
        r"\p{L}{3,}",
    ]
    + ["(a|b)*a(a|b){20}", "(?i)x", "[[a]&&[b]]", "a{,5}", "a**", r"\b\B^$", "(?x) a", "^(a?){64}a{64}$", "\ud800", "."]
)
REFERENCES = st.sampled_from(
    [
        "#",
        "#/",
        "#/$defs/a",
        "#/$defs/b",
        "#/definitions/a",
        "#/properties/a",
        "#/properties/a/items",
        "#/allOf/0",
        "#a",
    ]
    + ["#/enum/0", "#/%", "#/a~2b", "other.json", "http://127.0.0.1:1/x", "urn:x", "#/anyOf/9", "", "?", "#/x/y"]
)
JUNK = st.one_of(
    st.none(), st.booleans(), NUMBERS, NAMES, st.just([]), st.just({}), st.lists(NAMES, max_size=2), st.just([[[]]])
)
KINDS = ["array", "boolean", "integer", "null", "number", "object", "string"]
DATA = {
    "type": st.one_of(st.sampled_from(KINDS), st.lists(st.sampled_from(KINDS), max_size=3)),
    "enum": st.lists(JUNK, max_size=3),
    "const": JUNK,
    "pattern": PATTERNS,
    "format": st.sampled_from(["date", "email", "uri", "nonsense"]),
    "required": st.lists(NAMES, max_size=3),
    "$ref": REFERENCES,
    "$id": st.sampled_from(["a", "#a", "http://a.b/c", "urn:a", "//", "%"]),
    "id": st.sampled_from(["a", "#a"]),
    "$anchor": st.sampled_from(["a", "b"]),
    "$schema": st.sampled_from(["http://json-schema.org/draft-04/schema#", "http://127.0.0.1:1/", "x"]),
    "uniqueItems": st.booleans(),
}
DATA |= dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"], NUMBERS)
DATA |= dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"], NUMBERS)


def _keywords(schemas: st.SearchStrategy) -> st.SearchStrategy:
    named, several = st.dictionaries(NAMES, schemas, max_size=3), st.lists(schemas, max_size=3)
    holders = dict.fromkeys(["items", "additionalProperties", "not", "if", "contains", "additionalItems"], schemas)
    holders |= dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems", "items"], several)
    holders |= dict.fromkeys(["properties", "$defs", "definitions", "components"], named)
    holders["patternProperties"] = st.dictionaries(PATTERNS, schemas, max_size=2)
    sound = st.fixed_dictionaries({}, optional=DATA | holders)
    return st.one_of(sound, sound, st.dictionaries(st.sampled_from([*DATA, *holders]), JUNK, max_size=2))


SCHEMAS = st.recursive(st.one_of(st.booleans(), st.fixed_dictionaries({}, optional=DATA)), _keywords, max_leaves=8)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(SCHEMAS)
def test_any_schema_is_refused_with_a_sentence_or_can_be_begun(schema):
    start = time.process_time()
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    try:
        begun = Enforcer(KIMI, response_format=form)
    except RequestError as error:
        assert "cannot be enforced: $" in str(error) and len(str(error)) < 1000
    else:
        _begin(begun)
    called = Enforcer(KIMI, [tool(schema)], "required")  # never refused, as it is not strict
    write(called, "section", "call", "functions.act:0", "arguments")
    _begin(called)
    assert time.process_time() - start < 10, json.dumps(schema)


def _begin(enforcer: Enforcer) -> None:
    """Writes a little, the longest tokens that may come, and looks for the way out."""
    try:
        for _ in range(8):
            mask = enforcer.mask()
            assert mask.any()
            if enforcer.forced() is not None or mask[[*KIMI.eos_ids]].any():
                return
            enforcer.accept(int((enforcer._vocabulary.lengths * mask).argmax()))  # lengths of special tokens are 0
    except AnswerError:
        return
    way_out(enforcer._vocabulary, enforcer._grammar, enforcer._matcher, JsonState(), KIMI.token_bytes)
