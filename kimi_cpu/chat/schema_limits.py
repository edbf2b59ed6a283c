"""How large a schema may be. Every limit lies several times below what the grammar compiler takes well, in time, in
memory and in stack: tools/probe_schema_limits.py looks for where that ends, and docs/server.md lists the limits."""

from .patterns import written_out
from .schema_document import Place, SchemaError

MAX_BYTES = 262_144  # of the schema's JSON text
MAX_DEPTH = 96  # levels of its JSON text; the compiler reads 127
MAX_SCHEMAS = 4_000  # schemas in it
MAX_NAMES = 4_000  # properties and required names
MAX_OBJECT_NAMES = 1_000  # of one object
MAX_PATTERN_PROPERTIES = 16  # of one object
MAX_VALUES = 4_000  # of all enum and const
MAX_VALUE = 2_048  # characters of a name, an enum's text or a const, as JSON
MAX_PATTERNS = 64
MAX_PATTERN = 2_048  # characters
MAX_PATTERN_SIZE = 4_096  # characters and sets, repetitions written out
MAX_LEAST = 4_096  # minLength, minItems


class Limits:
    """What has been counted of a schema so far."""

    def __init__(self):
        self._num_schemas = self._num_names = self._num_values = self._num_patterns = 0

    def check(self, schema: dict, place: Place) -> None:
        """Counts one modern schema, without those in it. SchemaError: it is one too many, or too large."""
        names = {*schema.get("properties", ()), *schema.get("required", ())}
        patterns = {(*place, "patternProperties", pattern): pattern for pattern in schema.get("patternProperties", ())}
        if "pattern" in schema:
            patterns[*place, "pattern"] = schema["pattern"]
        values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
        self._num_schemas += 1
        self._num_names += len(names)
        self._num_values += len(values)
        self._num_patterns += len(patterns)
        for number, limit, what in (
            (self._num_schemas, MAX_SCHEMAS, "schemas in all"),
            (self._num_names, MAX_NAMES, "names in all"),
            (len(names), MAX_OBJECT_NAMES, "names of one object"),
            (self._num_values, MAX_VALUES, "values of enum and const in all"),
            (self._num_patterns, MAX_PATTERNS, "patterns in all"),
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


def check_size(text: str) -> None:
    """SchemaError: the schema's JSON text is too long."""
    if len(text) > MAX_BYTES:
        raise SchemaError((), f"it has more than {MAX_BYTES:,} characters of JSON")


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
