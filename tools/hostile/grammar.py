"""The grammar of hostility: every request is a function of a seed and a number."""

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

CHAT, COMPLETIONS, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
CALCULATOR = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TEXT = [{"role": "user", "content": "What is 17 + 25?"}]


class Attack(NamedTuple):
    """A request. way: how its bytes are sent, a name in wire.WAYS."""

    kind: str
    path: str
    body: bytes
    way: str = "plain"


class Nested(NamedTuple):
    """JSON of brackets, which json.dumps cannot write so deep."""

    depth: int
    opening: str = "["
    closing: str = "]"
    heart: str = ""


def attack(seed: int, number: int) -> Attack:
    """The number-th request of a seed."""
    r = random.Random(f"{seed}:{number}")
    kind = r.choices(list(KINDS), weights=[weight for _, weight in KINDS.values()])[0]
    return KINDS[kind][0](r)._replace(kind=kind)


def _text(value: Any) -> str:
    """JSON of a value that may hold Nested and bare text such as NaN."""
    if isinstance(value, Nested):
        return value.opening * value.depth + value.heart + value.closing * value.depth
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value)


def _request(r: random.Random, path: str, changes: dict, way: str = "plain") -> Attack:
    body = base(r, path) | changes
    return Attack("", path, _text(body).encode("utf-8", "surrogatepass"), way)


def base(r: random.Random, path: str) -> dict:
    """An ordinary body of a route."""
    common = {"temperature": 0, "stream": r.random() < 0.4}
    if path == CHAT:
        return common | {"messages": TEXT, "max_tokens": 24} | ({"no_think": True} if r.random() < 0.5 else {})
    if path == COMPLETIONS:
        return common | {"prompt": "Once upon a time", "max_tokens": 8}
    if path == RESPONSES:
        return common | {"input": "What is 17 + 25?", "max_output_tokens": 24}
    return common | {"messages": TEXT, "max_tokens": 24}


def _schema_request(r: random.Random, schema: Any) -> Attack:
    """A request that carries a schema, at one of the places for them."""
    strict = r.random() < 0.6
    match r.randrange(7):
        case 0:
            tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}}
            choice = r.choice(["auto", "required", {"type": "function", "function": {"name": "f"}}])
            return _request(r, CHAT, {"tools": [tool], "tool_choice": choice})
        case 1:
            tool = {"type": "function", "name": "f", "parameters": schema, "strict": strict}
            return _request(r, RESPONSES, {"tools": [tool], "tool_choice": "required"})
        case 2:
            tool = {"name": "f", "input_schema": schema}
            return _request(r, MESSAGES, {"tools": [tool], "tool_choice": {"type": "any"}})
        case 3:
            form = {"type": "json_schema", "name": "x", "schema": schema, "strict": strict}
            return _request(r, RESPONSES, {"text": {"format": form}})
        case 4:
            form = {"format": {"type": "json_schema", "schema": schema}}
            return _request(r, MESSAGES, {"output_config": form})
        case 5:
            return _request(r, CHAT, {"response_format": {"type": "json_object", "schema": schema}})
        case _:
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": strict}}
            return _request(r, CHAT, {"response_format": form})


def _size(r: random.Random, largest: int) -> int:
    """1 to largest, evenly over orders of magnitude."""
    return int(largest ** r.random())


def schema(r: random.Random, depth: int = 0) -> Any:
    """A JSON schema, or something that is none."""
    made = r.choice(SCHEMAS if depth < 4 else LEAVES)
    return made(r, depth)


def _property(r: random.Random, depth: int) -> Any:
    name = r.choice(["a", "", "\ud800", "x" * _size(r, 10**5), "a b", "$ref", '"', "\x00", "é"])
    inner = schema(r, depth + 1)
    return {"type": "object", "properties": {name: inner}, "required": [name] if r.random() < 0.7 else []}


def _wide(r: random.Random, depth: int) -> Any:
    names = [f"n{i}" for i in range(_size(r, 40_000))]
    many = {"type": "object", "required": names}
    return many | ({"properties": {name: {"type": "integer"} for name in names}} if r.random() < 0.5 else {})


def _alternatives(r: random.Random, depth: int) -> Any:
    key, count = r.choice(["anyOf", "oneOf", "allOf", "prefixItems"]), _size(r, 3000)
    one = schema(r, depth + 2)
    return {key: [one, *({"const": i} if r.random() < 0.9 else {"type": "object"} for i in range(count))]}


def _cycle(r: random.Random, depth: int) -> Any:
    twice = {"properties": {"a": {"$ref": "#/$defs/A"}, "b": {}}, "required": ["a"]}
    end = r.choice([{}, {"type": "null"}, {"type": "object", "properties": {"b": {"$ref": "#"}}, "required": ["b"]}])
    return r.choice(
        [
            {"$ref": "#"},
            {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
            {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            {"allOf": [{"$ref": "#"}, end]},
            {"anyOf": [{"$ref": "#"}, end]},
            {"type": "array", "items": {"$ref": "#"}, "minItems": r.choice([0, 1, 10**9])},
            {"$defs": {"A": twice}, "$ref": "#/$defs/A"},
            {"$ref": r.choice(["#/nowhere", "https://example.com/x", "#/$defs/%41", "", "#/properties/a/0", 5])},
            {"components": {"schemas": {"A": end}}, "$ref": "#/components/schemas/A"},
        ]
    )  # fmt: skip


def _counted(r: random.Random, depth: int) -> Any:
    count = r.choice([0, 1, -1, 10**3, 10**6, 10**9, 2**63, 10**30, 1.5, "9", None, float("nan")])
    key = r.choice(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf"])
    other = r.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
    kind = r.choice(["string", "array", "object", "integer", "number"])
    return {"type": kind, key: count, other: r.choice([0, 1e308, -1e308, 1e-308, 2**64, True])}


def _wrong(r: random.Random, depth: int) -> Any:
    key = r.choice(
        ["type", "format", "patternProperties", "properties", "required", "enum", "const", "items", "anyOf", "$ref",
         "additionalProperties", "pattern", "title", "$schema", "$id", "$defs", "not", "if", "propertyNames"]
    )  # fmt: skip
    return {key: value(r)}


def _nested(r: random.Random, depth: int) -> Any:
    opening, closing, heart = r.choice(
        [
            ('{"type": "object", "properties": {"a": ', '}, "required": ["a"]}', "{}"),
            ('{"items": ', "}", "{}"),
            ('{"anyOf": [', "]}", '{"type": "null"}'),
            ('{"allOf": [', "]}", "true"),
            ('{"not": ', "}", "{}"),
            ('{"$defs": {"a": ', "}}", "{}"),
            ('{"const": [', "]}", "1"),
        ]
    )
    return Nested(_size(r, 5000), opening, closing, heart)


def _constant(r: random.Random, depth: int) -> Any:
    long = r.choice(["x", "\ud800", '"', "\\", "é", "\x00"]) * _size(r, 10**6)
    return r.choice([{"const": long}, {"enum": [long, 1]}, {"enum": [f"{i}" for i in range(_size(r, 50_000))]}])


def _pattern_schema(r: random.Random, depth: int) -> Any:
    made = pattern(r)
    return r.choice(
        [
            {"type": "string", "pattern": made},
            {"type": "object", "patternProperties": {made: {}}, "minProperties": 1},
            {"type": "array", "items": {"type": "string", "pattern": made}, "minItems": 3},
        ]
    )


def pattern(r: random.Random, depth: int = 0) -> str:
    """A regular expression, or something that is none."""
    if depth > 5 or r.random() < 0.25:
        return r.choice(ATOMS)
    inner = pattern(r, depth + 1)
    low = r.choice([0, 1, 2, 5, 10, 100, 1000, 10**6, 4 * 10**9, 10**20])
    high = r.choice(["", ",", f",{low}", f",{low * 2}", ",0"])
    match r.randrange(8):
        case 0:
            return f"(?:{inner}){{{low}{high}}}"
        case 1:
            return f"({inner}){{{r.choice([2, 10, 100])}}}"
        case 2:
            return f"({inner}|{pattern(r, depth + 1)})"
        case 3:
            return f"({inner})" + r.choice("*+?") + r.choice(["", "?", "+"])
        case 4:
            return f"^{inner}$"
        case 5:
            return inner + pattern(r, depth + 1)
        case 6:
            return r.choice(["(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?P<n>", "(?#"]) + inner + ")"
        case _:
            return "|".join([inner] * _size(r, 3000))


ATOMS = [
    "a", ".", "[^a-z0-9.~-]", r"[^\x00-\U0010ffff]", r"[\s\S]", r"\d", r"\w", r"\W", r"\p{L}", "[[:alpha:]]", "[^]",
    "[]", "", "é", "\ud800", r"\u12", r"\1", "(", ")", "[a", "{", "*", r"\b", r"\Z", "[\U00010000-\U0010ffff]", "^",
    "$", "(a+)+$", "(a|a)*b", "(.*)(.*)(.*)x", "[^\\n]", "\x00",
]  # fmt: skip
LEAVES: list[Callable] = [_counted, _wrong, _cycle, _constant, _pattern_schema, lambda r, d: r.choice([True, False])]
SCHEMAS: list[Callable] = [*LEAVES, _property, _property, _wide, _alternatives, _nested, _nested, _cycle]


def value(r: random.Random) -> Any:
    """Something that hardly any field expects."""
    return r.choice(
        [
            None, True, False, 0, -1, 5, 2**63, -(2**64), 10**400, 1e308, 0.1, float("nan"), float("inf"), "", "x",
            "\ud800", "x" * _size(r, 10**6), [], {}, [[]], [None], [{}], {"": {}}, {"type": None}, {"a": "\udfff"},
            [5] * 20, Nested(_size(r, 20_000)), Nested(_size(r, 20_000), '{"a":', "}", "0"), "\x00", "<|im_end|>",
            "{{ 7 * 7 }}", list(range(_size(r, 10**5))), {f"k{i}": i for i in range(_size(r, 20_000))},
            {"k" * _size(r, 10**6): 1},
        ]
    )  # fmt: skip


FIELDS = {
    CHAT: """messages max_tokens max_completion_tokens temperature top_p top_k min_p repeat_penalty presence_penalty
        frequency_penalty logit_bias logprobs top_logprobs seed stop n stream stream_options tools tool_choice
        parallel_tool_calls response_format reasoning_effort thinking no_think think_budget think_seconds
        chat_template_kwargs user model metadata return_progress functions modalities nothing""".split(),
    COMPLETIONS: """prompt max_tokens temperature top_p top_k logit_bias logprobs seed stop n best_of echo suffix
        stream stream_options model ignore_eos nothing""".split(),
    RESPONSES: """input instructions max_output_tokens temperature top_p tools tool_choice text reasoning metadata
        include previous_response_id store truncation stream model user parallel_tool_calls nothing""".split(),
    MESSAGES: """messages system max_tokens temperature top_p top_k stop_sequences tools tool_choice thinking
        output_config metadata stream model context_management mcp_servers nothing""".split(),
}


def _field(r: random.Random) -> Attack:
    path = r.choice(list(FIELDS))
    names = r.sample(FIELDS[path], r.choice([1, 1, 2]))
    return _request(r, path, {name: value(r) for name in names})


def _stop(r: random.Random) -> Attack:
    texts = r.choice(
        [
            [f"s{i}" for i in range(_size(r, 10**6))], ["x" * _size(r, 10**6)], [""], ["\ud800"], ["a"] * 1000, "", [5],
            [["a"]], ["a" * i for i in range(1, 500)], {"a": "b"}, ["<|im_end|>"], ["<", "<|", "<|tool"],
        ]
    )  # fmt: skip
    path = r.choice([CHAT, COMPLETIONS, MESSAGES])
    return _request(r, path, {"stop_sequences" if path == MESSAGES else "stop": texts})


def _message(r: random.Random) -> Attack:
    """A conversation with something odd in it."""
    path = r.choice([CHAT, MESSAGES, RESPONSES])
    role = r.choice(["user", "assistant", "system", "tool", "developer", "function", "", None, 5])
    odd: dict[str, Any] = {"role": role, "content": r.choice(["x", value(r), [{"type": "text", "text": value(r)}]])}
    key = r.choice(["name", "tool_calls", "tool_call_id", "reasoning_content", "partial", "prefix", "refusal", "zz"])
    odd |= {key: value(r)} if r.random() < 0.6 else {}
    if r.random() < 0.3:
        arguments = r.choice(["[" * _size(r, 20_000), "{" * 5000, '{"a": ' * 5000, value(r), "x" * 10**5])
        odd["tool_calls"] = [{"id": value(r), "type": "function", "function": {"name": "f", "arguments": arguments}}]
    story = [odd, *TEXT] if r.random() < 0.7 else [*TEXT, odd]
    if path == RESPONSES:
        item = {"type": r.choice(["reasoning", "function_call", "function_call_output", "message", None, "zz"])}
        item |= {r.choice(["content", "summary", "output", "arguments", "call_id", "name"]): value(r)}
        return _request(r, path, {"input": [*story, item]})
    return _request(r, path, {"messages": story})


def _size_of(r: random.Random) -> Attack:
    """Too much of something."""
    many = _size(r, 3 * 10**6)
    match r.randrange(8):
        case 0:
            return _request(r, CHAT, {"messages": [{"role": "user", "content": "word " * many}]})
        case 1:
            return _request(r, COMPLETIONS, {"prompt": [5] * many})
        case 2:
            return _request(r, CHAT, {"messages": [{"role": "user", "content": ""}] * (many // 10 + 1)})
        case 3:
            return Attack("", "/detokenize", json.dumps({"tokens": [5] * many}).encode())
        case 4:
            return Attack("", "/tokenize", json.dumps({"content": "aé " * many}).encode())
        case 5:
            tools = [
                {"type": "function", "function": {"name": f"f{i}", "parameters": CALCULATOR}}
                for i in range(many // 100)
            ]
            return _request(r, CHAT, {"tools": tools})
        case 6:
            return _request(r, r.choice([CHAT, COMPLETIONS]), {"n": r.choice([0, 128, 10**4, 10**9]), "max_tokens": 1})
        case _:
            return Attack(
                "",
                "/v1/messages/count_tokens",
                _text({"messages": [{"role": "user", "content": "a " * many}]}).encode(),
            )


def _bytes(r: random.Random) -> Attack:
    """A body that is no JSON, or a lot."""
    path = r.choice([*FIELDS, "/tokenize", "/detokenize", "/v1/messages/count_tokens", "/v1/chat/completions/control"])
    body = r.choice(
        [
            b"", b"{", b"nul", b"\xff\xfe{\x00}\x00", b"[" * _size(r, 10**6), b'{"a":' * _size(r, 10**5),
            b"\x1f\x8b\x08" + bytes(100),
            b'{"messages": "' + b"x" * _size(r, 33 * 10**6), b"5" * _size(r, 10**6), b"-" * 100, b"\xed\xa0\x80",
            b'{"prompt": "\xff"}', b"null", b'"x"', b" " * _size(r, 34 * 10**6), r.randbytes(_size(r, 10**5)),
            b'{"messages": [], "messages": []}', b"\xef\xbb\xbf{}",
        ]
    )  # fmt: skip
    return Attack("", path, body)


SLOW_WAYS = """drip_header drip_body half_body leave_early never_read bad_length bad_chunks long_header no_request
    pipelined old_http odd_method""".split()


def _slow(r: random.Random) -> Attack:
    """A client that takes its time, leaves, or breaks the protocol."""
    made = _request(r, r.choice(list(FIELDS)), {"stream": True})
    return made._replace(way=r.choice(SLOW_WAYS))


def _template(r: random.Random) -> Attack:
    key = r.choice(["messages", "tools", "tokenizer", "template", "add_generation_prompt", "thinking", "x", "", "self"])
    return _request(r, CHAT, {"chat_template_kwargs": r.choice([{key: value(r)}, value(r)])})


KINDS: dict[str, tuple[Callable[[random.Random], Attack], int]] = {
    "schema": (lambda r: _schema_request(r, schema(r)), 30),
    "pattern": (lambda r: _schema_request(r, _pattern_schema(r, 0)), 15),
    "cycle": (lambda r: _schema_request(r, _cycle(r, 0)), 6),
    "field": (_field, 15),
    "stop": (_stop, 6),
    "message": (_message, 10),
    "size": (_size_of, 6),
    "bytes": (_bytes, 5),
    "template": (_template, 3),
    "slow": (_slow, 6),
}
