"""JSON schemas made ready for the grammar compiler: what it need not see, or cannot do, is left out."""

from dataclasses import dataclass, field
from re import _constants as regex_codes  # the parse tree of `re`: there is no public one
from re import _parser as regex_parser
from re import error as RegexError

from ..errors import RequestError

ONE = {"items", "additionalItems", "additionalProperties"}  # keyword -> a schema
MANY = {"anyOf", "oneOf", "allOf", "prefixItems", "items"}  # keyword -> a list of schemas
NAMED = {"properties", "patternProperties", "$defs", "definitions"}  # keyword -> name -> a schema
DATA = {"$anchor", "$id", "$ref", "$schema", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format"}
DATA |= {"id", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties"}
DATA |= {"minimum", "multipleOf", "pattern", "required", "type"}
UNSUPPORTED = {"$dynamicRef", "$recursiveRef", "contains", "dependencies", "dependentRequired", "dependentSchemas"}
UNSUPPORTED |= {"if", "not", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"}
MAX_INTEGER = 2**53 - 1  # JSON readers keep integers up to it exactly: RFC 8259, section 6
EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
SIGNS = {"minimum": 1, "maximum": -1}  # of the way from a bound into its range
MARGIN = 1e-9  # by which a number keeps off an exclusive bound: 0.99999999999999999 is read as 1
FORMATS = {  # the formats that llguidance enforces (parser/src/json/formats.rs) -> short texts of them
    "date-time": ("2000-01-01T00:00:00Z",),
    "time": ("00:00:00Z",),
    "date": ("2000-01-01",),
    "duration": ("P1D", "PT1S", "P1Y", "P1W", "PT1M", "PT1H", "P1M"),
    "email": ("a@a.a",),
    "hostname": ("a",),
    "ipv4": ("0.0.0.0",),
    "ipv6": ("::0", "0:0:0:0:0:0:0:0"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "uri": ("a:a",),
}


@dataclass
class Schema:
    """A JSON schema for the compiler. required: every name that some object in it must have; examples: short texts,
    one or more for each pattern and format in it; left_out: keywords that assert something and cannot be enforced."""

    value: dict | bool
    required: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def prepare_schema(schema: dict | bool, what: str) -> Schema:
    """Without annotations and unknown keywords, which by JSON Schema assert nothing, and without those that cannot be
    enforced. what: whose schema, for the messages. RequestError: it is no schema."""
    prepared = Schema(True)
    try:
        prepared.value = _clean(schema, what, prepared)
    except RecursionError:
        raise RequestError(f"{what} has a schema that is nested too deeply.") from None
    return prepared


def _clean(schema: dict | bool, what: str, prepared: Schema) -> dict | bool:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise RequestError(f"{what} has {schema!r} where a JSON schema must stand.")
    clean: dict = {}
    for key, value in schema.items():
        if key in UNSUPPORTED and value is not False:
            prepared.left_out.append(key)
        elif key in NAMED and isinstance(value, dict):
            clean[key] = {name: _clean(part, what, prepared) for name, part in value.items()}
        elif key in MANY and isinstance(value, list):
            clean[key] = [_clean(part, what, prepared) for part in value]
        elif key in ONE:
            clean[key] = _clean(value, what, prepared)
        elif key == "format":
            if value in FORMATS:  # the others are annotations
                clean[key] = value
                prepared.examples += FORMATS[value]
        elif key in DATA | NAMED | MANY:
            clean[key] = value
    if not _can_be_counted(clean):
        prepared.left_out.append("minProperties")
        del clean["minProperties"]
    _bound_numbers(clean)
    _collect(clean, prepared)
    return clean


def _bound_numbers(clean: dict) -> None:
    """Keeps numbers to what a reader of JSON takes as it was written: multiples, which could go on for ever where none
    is met, to those that a double holds; others off an exclusive bound below them (0.0...01 is read as 0). Upper bounds
    stay: the compiler takes 0.9 for too long under a maximum of 0.999999999 (llguidance 1.9.1)."""
    for exclusive, inclusive in EXCLUSIVE.items():
        if isinstance(clean.get(exclusive), bool):  # of the bound beside it, in draft 4
            is_exclusive = clean.pop(exclusive)
            if is_exclusive and inclusive in clean:
                clean[exclusive] = clean.pop(inclusive)
    bounds = {key: clean[key] for key in EXCLUSIVE | SIGNS if isinstance(clean.get(key), int | float)}
    if any(abs(bound) >= MAX_INTEGER for bound in bounds.values()):
        return
    if "multipleOf" in clean:
        for exclusive, inclusive in EXCLUSIVE.items():
            if not clean.keys() & {exclusive, inclusive}:
                clean[inclusive] = -SIGNS[inclusive] * MAX_INTEGER
    elif "number" in clean.get("type", ()):
        for exclusive, inclusive in EXCLUSIVE.items():
            if SIGNS[inclusive] * bounds.get(exclusive, -SIGNS[inclusive]) >= 0:
                _keep_off(clean, bounds, exclusive, inclusive)


def _keep_off(clean: dict, bounds: dict, exclusive: str, inclusive: str) -> None:
    """Makes an inclusive bound, a little inside, of an exclusive one, if that leaves any number."""
    sign, bound = SIGNS[inclusive], bounds[exclusive]
    inside = round(bound + sign * MARGIN * max(1, abs(bound)), 12)
    opposite = [value for key, value in bounds.items() if SIGNS[EXCLUSIVE.get(key, key)] != sign]
    if all(sign * (value - inside) > 0 for value in opposite):
        del clean[exclusive]
        if inclusive not in bounds or sign * (bounds[inclusive] - inside) < 0:
            clean[inclusive] = inside


def _can_be_counted(clean: dict) -> bool:
    """Whether there are enough names however often one is written: those outside `properties` may come twice."""
    required = clean.get("required")
    at_least = max(1, len(required) if isinstance(required, list) else 0)
    return not isinstance(clean.get("minProperties"), int) or clean["minProperties"] <= at_least


def _collect(clean: dict, prepared: Schema) -> None:
    required = clean.get("required")
    if isinstance(required, list):
        prepared.required += [name for name in required if isinstance(name, str) and name not in prepared.required]
    patterns = [clean["pattern"]] if isinstance(clean.get("pattern"), str) else []
    patterns += clean.get("patternProperties", {})
    for pattern in patterns:
        example = shortest_match(pattern)
        if example is not None and example not in prepared.examples:
            prepared.examples.append(example)


def shortest_match(pattern: str) -> str | None:
    """A short text that matches the pattern, None where none is found easily (anchors inside, look-arounds)."""
    try:
        return _shortest(regex_parser.parse(pattern))
    except (RegexError, RecursionError, LookupError, TypeError, ValueError):
        return None


def _shortest(parsed) -> str:
    """Of a sequence of (code, argument) of re's parser. LookupError: a code that is not known here."""
    return "".join(_shortest_of(code, argument) for code, argument in parsed)


def _shortest_of(code, argument) -> str:
    codes = regex_codes
    if code is codes.LITERAL:
        return chr(argument)
    if code in (codes.ANY, codes.NOT_LITERAL):
        return "b" if argument == ord("a") else "a"
    if code is codes.IN:
        return _member(argument)
    if code is codes.BRANCH:
        return min((_shortest(branch) for branch in argument[1]), key=len)
    if code is codes.SUBPATTERN:
        return _shortest(argument[3])
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return _shortest(argument[2]) * argument[0]
    if code is codes.AT:
        return ""
    raise LookupError(code)


def _member(members: list) -> str:
    """A character of a set of re's parser."""
    codes = regex_codes
    if members[0][0] is codes.NEGATE:
        text = {codes.LITERAL: chr, codes.RANGE: lambda ends: "".join(map(chr, range(ends[0], ends[1] + 1)))}
        taken = "".join(text[code](argument) for code, argument in members[1:] if code in text)
        if any(code is codes.CATEGORY for code, _ in members[1:]):
            taken += " \n_"
        return next(c for c in "a0-.~" if c not in taken)
    code, argument = members[0]
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.RANGE:
        return chr(argument[0])
    categories = {codes.CATEGORY_DIGIT: "0", codes.CATEGORY_SPACE: " ", codes.CATEGORY_WORD: "a"}
    return categories.get(argument, "-" if argument is codes.CATEGORY_NOT_WORD else "a")
