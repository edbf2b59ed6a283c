"""How large a schema may be. Every limit lies several times below what the grammar compiler takes well, in time, in
memory and in stack: tools/probe_schema_limits.py looks for where that ends, and docs/server.md lists the limits."""

from collections import Counter

from ..errors import RequestError
from .patterns import written_out
from .schema_document import Place, SchemaError

MAX_BYTES = 262_144  # of the schema's JSON text
MAX_DEPTH = 96  # levels of its JSON text; the compiler reads 127
MAX_SCHEMAS = 4_000  # schemas in it
MAX_NAMES = 4_000  # properties and required names
MAX_ALTERNATIVES = 1_000  # of one value, those of allOf multiplied out as the compiler does
MAX_OBJECT_NAMES = 1_000  # of one object
MAX_PATTERN_PROPERTIES = 16  # of one object
MAX_VALUES = 4_000  # of all enum and const
MAX_VALUE = 2_048  # characters of a name, an enum's text or a const, as JSON
MAX_PATTERNS = 64
MAX_PATTERN = 2_048  # characters
MAX_PATTERN_SIZE = 4_096  # characters and sets, repetitions written out
MAX_LEAST = 4_096  # minLength, minItems
CHARACTERS, SCHEMAS, NAMES, ALTERNATIVES = "characters of JSON", "schemas", "names", "alternatives"
VALUES, PATTERNS = "values of enum and const", "patterns"
SHARES = {  # of a request's limits, that one schema may take
    CHARACTERS: MAX_BYTES,
    SCHEMAS: MAX_SCHEMAS,
    NAMES: MAX_NAMES,
    VALUES: MAX_VALUES,
    PATTERNS: MAX_PATTERNS,
    ALTERNATIVES: MAX_ALTERNATIVES,  # that are not written out, but come of allOf and of references
}
NUM_SHARES = 3  # of a request: about a second of compiling


class Limits:
    """counts: what has been counted of a schema so far, of each of SHARES."""

    def __init__(self):
        self.counts: Counter[str] = Counter()

    def check_size(self, text: str) -> None:
        """SchemaError: the schema's JSON text is too long."""
        self.counts[CHARACTERS] = len(text)
        if len(text) > MAX_BYTES:
            raise SchemaError((), f"it has more than {MAX_BYTES:,} characters of JSON")

    def check(self, schema: dict, place: Place) -> None:
        """Counts one modern schema, without those in it. SchemaError: it is one too many, or too large."""
        names = {*schema.get("properties", ()), *schema.get("required", ())}
        patterns = {(*place, "patternProperties", pattern): pattern for pattern in schema.get("patternProperties", ())}
        if "pattern" in schema:
            patterns[*place, "pattern"] = schema["pattern"]
        values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
        self.counts.update({SCHEMAS: 1, NAMES: len(names), VALUES: len(values), PATTERNS: len(patterns)})
        for number, limit, what in (
            (self.counts[SCHEMAS], MAX_SCHEMAS, f"{SCHEMAS} in all"),
            (self.counts[NAMES], MAX_NAMES, f"{NAMES} in all"),
            (len(names), MAX_OBJECT_NAMES, "names of one object"),
            (self.counts[VALUES], MAX_VALUES, f"{VALUES} in all"),
            (self.counts[PATTERNS], MAX_PATTERNS, f"{PATTERNS} in all"),
            (len(schema.get("patternProperties", ())), MAX_PATTERN_PROPERTIES, "patternProperties of one object"),
        ):
            if number > limit:
                raise SchemaError(place, f"there are more than {limit:,} {what}")
        for where, pattern in patterns.items():
            if len(pattern) > MAX_PATTERN:
                raise SchemaError(where, f"it is longer than {MAX_PATTERN:,} characters")
            if written_out(pattern) > MAX_PATTERN_SIZE:
                raise SchemaError(where, f"its repetitions come to more than {MAX_PATTERN_SIZE:,} characters")
        for key in ("minLength", "minItems"):
            if schema.get(key, 0) > MAX_LEAST:
                raise SchemaError((*place, key), f"it is above {MAX_LEAST:,}")
        for value in (*names, *values):
            if _is_long(value):
                raise SchemaError(place, f"a name or a value is longer than {MAX_VALUE:,} characters")


class RequestLimits:
    """What has been counted of the schemas of a request so far."""

    def __init__(self):
        self._counts: Counter[str] = Counter()

    def check(self, counts: Counter[str], field: str) -> None:
        """Counts a schema, whether or not it could be compiled. RequestError: it is one too many for the field."""
        for what, share in SHARES.items():
            self._counts[what] += min(counts[what], share)  # what is beyond it was not looked at
            if self._counts[what] > NUM_SHARES * share:
                message = f"{field}: the schemas of the request have more than {NUM_SHARES * share:,} {what} together"
                raise RequestError(f"{message}; give fewer or simpler ones.", field)


def check_depth(schema: object) -> None:
    """SchemaError: its JSON text is nested too deeply."""
    level = [schema]
    num_levels = 0
    while level and num_levels <= MAX_DEPTH:
        level = [part for value in level for part in _parts(value)]
        num_levels += 1
    if level:
        raise SchemaError((), f"it is nested more than {MAX_DEPTH} levels deep")


def _parts(value: object) -> list | tuple:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()


def _is_long(value: object) -> bool:
    """Whether the value's text is; stops counting there."""
    length, pending = 0, [value]
    while pending and length <= MAX_VALUE:
        value = pending.pop()
        length += len(value) if isinstance(value, str) else 1
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
    return length > MAX_VALUE
