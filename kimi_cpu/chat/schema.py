"""JSON schemas made ready for the grammar compiler: what it need not see is left out, what it cannot do is named."""

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
    one or more for each pattern and format in it."""

    value: dict | bool
    required: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


def prepare_schema(schema: dict | bool, what: str) -> Schema:
    """Without annotations and unknown keywords, which by JSON Schema assert nothing. what: whose schema, for the
    messages. RequestError: a keyword that cannot be enforced."""
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
            raise RequestError(f"{what} has a schema with {key!r}, which cannot be enforced; leave it out.")
        if key in NAMED and isinstance(value, dict):
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
    _check_counts(clean, what)
    _collect(clean, prepared)
    return clean


def _check_counts(clean: dict, what: str) -> None:
    """Names outside `properties` may be generated twice, so they cannot be counted on."""
    required = clean.get("required")
    at_least = max(1, len(required) if isinstance(required, list) else 0)
    if isinstance(clean.get("minProperties"), int) and clean["minProperties"] > at_least:
        raise RequestError(
            f"{what} has a schema with 'minProperties' above the number of required ones, which cannot be enforced; "
            "name them in 'required'."
        )


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
