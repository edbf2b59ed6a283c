"""A JSON schema as a document: its limits, its check by JSON Schema's own meta-schema, its keywords in the words of
draft 2020-12 whatever draft it was written in, and its references, followed inside it.

Every limit lies several times below what the grammar compiler takes well, in time, in memory and in stack:
tools/probe_schema_limits.py looks for where that ends, and docs/server.md lists the limits.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urljoin

from ..errors import RequestError, shown
from .patterns import written_out

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
MAX_LEAST = 4_096  # of minLength and minItems
CHARACTERS, SCHEMAS, NAMES, ALTERNATIVES = "characters of JSON", "schemas", "names", "alternatives"
VALUES, PATTERNS = "values of enum and const", "patterns"
SHARES = {  # of a request's limits: the most that one schema may take
    CHARACTERS: MAX_BYTES,
    SCHEMAS: MAX_SCHEMAS,
    NAMES: MAX_NAMES,
    VALUES: MAX_VALUES,
    PATTERNS: MAX_PATTERNS,
    ALTERNATIVES: MAX_ALTERNATIVES,  # that are not written out, but come of allOf and of references
}
NUM_SHARES = 3  # of a request: about a second of compiling

HOLDS_ONE = {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"}
HOLDS_ONE |= {"unevaluatedItems", "unevaluatedProperties"}  # keyword -> a schema
HOLDS_MANY = {"allOf", "anyOf", "oneOf", "prefixItems"}  # keyword -> a list of schemas
HOLDS_NAMED = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}  # keyword -> name -> one
EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
PLAIN_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
MAX_PLACE = 200  # characters of a place in a message
MAX_REASON = 300

Place = tuple[str | int, ...]  # keys and indexes from the root


class SchemaError(RequestError):
    """A schema that cannot be enforced. The message is the place in it, as a JSON path, and the reason."""

    def __init__(self, place: Place, reason: str):
        super().__init__(f"{json_path(place)}: {' '.join(reason.split())[:MAX_REASON]}")


class Document:
    """A schema and the schemas that its references name. SchemaError: JSON Schema forbids it."""

    def __init__(self, root: dict | bool):
        self._root = root
        self._named: dict[str, tuple] = {"": (root, (), "")}  # absolute URI, or URI#anchor -> schema, place, base
        self._checked: set[int] = set()  # ids of the schemas that were
        self._check(root, (), "")

    def find(self, reference: str, base: str, place: Place) -> tuple[dict | bool, Place, str]:
        """The schema that a reference at a place names, its own place, and the base URI of the schema around it. base:
        the URI that the reference is relative to."""
        uri, _, fragment = (base + reference if reference.startswith("#") else urljoin(base, reference)).partition("#")
        fragment = unquote(fragment)
        if uri not in self._named:
            raise SchemaError(place, f"{shown(reference)} is in another document, and none is fetched")
        if fragment and not fragment.startswith("/"):
            if f"{uri}#{fragment}" not in self._named:
                raise SchemaError(place, f"{shown(reference)} names no $anchor of the schema")
            return self._named[f"{uri}#{fragment}"]
        target, found, base = self._named[uri]
        for step in fragment.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            base = own_base(target, base) if isinstance(target, dict) else base
            try:
                key, target = (int(name), target[int(name)]) if isinstance(target, list) else (name, target[name])
            except (LookupError, TypeError, ValueError):
                raise SchemaError(place, f"{shown(reference)} names nothing in the schema") from None
            found = (*found, key)
        if id(target) not in self._checked:
            self._check(target, found, base)
        return target, found, base

    def _check(self, schema: object, place: Place, base: str) -> None:
        """Checks a schema against the meta-schema, and notes the names in it."""
        import jsonschema_rs  # 12 ms, and most requests have no schema

        if not isinstance(schema, dict | bool):
            raise SchemaError(place, f"{shown(schema)} is no JSON schema")
        try:
            jsonschema_rs.meta.validate(self._modern(schema, place, base))
        except jsonschema_rs.ValidationError as error:
            raise SchemaError((*place, *_original(schema, error.instance_path)), error.message) from None

    def _modern(self, schema: object, place: Place, base: str) -> Any:
        """A schema with all schemas in it in the words of draft 2020-12."""
        self._checked.add(id(schema))
        if not isinstance(schema, dict):
            return schema
        new = modern(schema)
        base = self._name(schema, new, place, base)
        for key, value in new.items():
            here = (*place, written_as(schema, key))
            if key in HOLDS_ONE:
                new[key] = self._modern(value, here, base)
            elif key in HOLDS_MANY and isinstance(value, list):
                new[key] = [self._modern(part, (*here, i), base) for i, part in enumerate(value)]
            elif key in HOLDS_NAMED and isinstance(value, dict):
                new[key] = {name: self._modern(part, (*here, name), base) for name, part in value.items()}
        return new

    def _name(self, schema: dict, new: dict, place: Place, base: str) -> str:
        """Notes the schema's own URI and its anchors. The base URI of the schemas in it."""
        own = own_base(new, base)
        if own != base:
            self._named.setdefault(own, (schema, place, base))
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(new.get(key), str):
                self._named.setdefault(f"{own}#{new[key]}", (schema, place, base))
        return own


class Limits:
    """The limits of one schema. counts: how many of each of SHARES it has so far."""

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
        named = schema.get("patternProperties", ())
        patterns: dict[Place, str] = {(*place, "patternProperties", pattern): pattern for pattern in named}
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
    """The limits of all schemas of one request together."""

    def __init__(self):
        self._counts: Counter[str] = Counter()

    def check(self, counts: Counter[str], field: str) -> None:
        """Counts a schema, whether or not it could be compiled. RequestError: it is one too many for the field."""
        for what, share in SHARES.items():
            self._counts[what] += min(counts[what], share)  # what lies beyond was refused unseen
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


def modern(schema: dict) -> dict:
    """A schema with the keywords of draft 2020-12 in place of those of drafts 4 to 2019-09; what is inside stays."""
    new = {key: value for key, value in schema.items() if key != "$schema"}
    for exclusive, inclusive in EXCLUSIVE.items():
        if isinstance(new.get(exclusive), bool):  # draft 4: of the bound beside it
            is_exclusive = new.pop(exclusive)
            if is_exclusive and inclusive in new:
                new[exclusive] = new.pop(inclusive)
    if isinstance(new.get("items"), list):
        new["prefixItems"] = new.pop("items")
        if "additionalItems" in new:
            new["items"] = new.pop("additionalItems")
    if isinstance(new.get("id"), str):
        new.setdefault("$id", new.pop("id"))
    if isinstance(new.get("$id"), str) and new["$id"].startswith("#"):  # draft 7
        new.setdefault("$anchor", new.pop("$id")[1:])
    return new


def written_as(schema: object, key: str | int) -> str | int:
    """The keyword with which a schema spells one of draft 2020-12."""
    if isinstance(schema, dict):
        if key == "prefixItems" and isinstance(schema.get("items"), list):
            return "items"
        if key == "items" and isinstance(schema.get("items"), list):
            return "additionalItems"
        if key in EXCLUSIVE and isinstance(schema.get(key), bool):
            return EXCLUSIVE[key]
    return key


def own_base(schema: dict, base: str) -> str:
    """The URI that references in a modern schema are relative to. base: that of the schema around it."""
    name = schema.get("$id")
    return urljoin(base, name).partition("#")[0] if isinstance(name, str) else base


def json_path(place: Place) -> str:
    """The place as a JSON path: `$.properties.a.anyOf[0]`."""
    parts = [
        f"[{key}]" if isinstance(key, int) else f".{key}" if PLAIN_NAME.fullmatch(key) else f"[{key[:64]!r}]"
        for key in place
    ]
    path = "$" + "".join(parts)
    return path if len(path) <= MAX_PLACE else f"{path[: MAX_PLACE // 2]}…{path[-MAX_PLACE // 2 :]}"


def _original(schema: Any, path: Iterable[str | int]) -> Place:
    """A path in the modern form of a schema as a path in the schema."""
    place = []
    for key in path:
        place.append(written_as(schema, key))
        try:
            schema = schema[place[-1]]
        except (LookupError, TypeError):
            schema = None
    return tuple(place)


def _parts(value: object) -> list | tuple:
    """The values inside a JSON value."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()


def _is_long(value: object) -> bool:
    """Whether a value has more than MAX_VALUE characters. Counts no further than that."""
    length, pending = 0, [value]
    while pending and length <= MAX_VALUE:
        value = pending.pop()
        length += len(value) if isinstance(value, str) else 1
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
    return length > MAX_VALUE
