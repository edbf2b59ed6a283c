"""The one door for JSON schemas: checks them, holds them to limits, and makes them ready for the grammar compiler.
Keywords that it need not see or cannot enforce are left out; some finite document must fit the rest."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..errors import shown
from .patterns import shortest_match
from .schema_document import (
    ALTERNATIVES,
    EXCLUSIVE,
    MAX_ALTERNATIVES,
    Document,
    Limits,
    Place,
    SchemaError,
    check_depth,
    modern,
    own_base,
    written_as,
)

ONE = {"items", "additionalProperties"}  # keyword -> a schema
MANY = {"anyOf", "oneOf", "allOf", "prefixItems"}  # keyword -> a list of schemas
NAMED = {"properties", "patternProperties"}  # keyword -> name -> a schema
DATA = {"const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf", "pattern"}
DATA |= {"required", "type"}
COUNTS = {"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"}
UNSUPPORTED = {"$dynamicRef", "$recursiveRef", "contains", "dependencies", "dependentRequired", "dependentSchemas"}
UNSUPPORTED |= {"if", "not", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"}
NO_LIMIT = 2**25  # characters or items: more than any answer can have
EXACT_INTEGER = 2**53 - 1  # JSON readers keep integers up to it exactly: RFC 8259, section 6
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
MAX_ROUNDS = 32  # a schema needs more where ends are found one by one against the order of its references
MAX_JOINED_PATTERNS = 4  # the compiler looks for a text that all of them match, and takes for ever with 24
IN_PLACE = ("allOf", "anyOf", "oneOf")  # keyword -> schemas of the same value
KINDS = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))


@dataclass
class Schema:
    """A JSON schema for the compiler: references lead to its `$defs`, which hold nothing else. required: every name
    that some object in it must have; examples: short texts, one or more for each pattern and format in it; left_out:
    places of keywords that assert something and cannot be enforced; patterns: pattern -> its first place; places: name
    in `$defs` -> its place in the schema as it was given."""

    value: dict | bool
    required: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    left_out: list[Place] = field(default_factory=list)
    patterns: dict[str, Place] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


def prepare_schema(text: str, limits: Limits, objects: bool = False) -> Schema:
    """A schema, given as JSON, without annotations and unknown keywords, which by JSON Schema assert nothing, and
    without those that cannot be enforced. limits: fresh ones. objects: no other values fit it. SchemaError: JSON Schema
    forbids it, it is beyond a limit, it refers to what is not there, or no finite document fits it."""
    limits.check_size(text)
    try:
        schema = json.loads(text)
        check_depth(schema)
        return _Preparation(schema, limits, objects).prepared
    except RecursionError:  # references that lead on and on
        raise SchemaError((), "it is nested too deeply, its references followed") from None


class _Preparation:
    """Prepares one schema; `prepared` is the result."""

    def __init__(self, root: dict | bool, limits: Limits, objects: bool):
        self._limits = limits
        self._document = Document(root)
        self._names: dict[int, str] = {}  # id of a referenced schema -> its name in `$defs`
        self._pending: list[tuple[str, dict | bool, Place, str]] = []
        self._examples: set[str] = set()
        self._required: set[str] = set()
        self.prepared = Schema(True)
        value = self._clean(root, (), "")
        defs: dict[str, dict | bool] = {}
        value = _as_object(value) if objects else value
        while self._pending:
            name, target, place, base = self._pending.pop()
            self.prepared.places[name] = place
            defs[name] = self._clean(target, place, base)
        self.prepared.value = value | {"$defs": defs} if isinstance(value, dict) and defs else value
        require_end(self.prepared.value, self.prepared.places, limits)

    def _clean(self, schema: dict | bool, place: Place, base: str) -> dict | bool:
        """A schema with the keywords that the compiler is to see, and all schemas in it likewise."""
        if isinstance(schema, bool):
            return schema
        new, clean = modern(schema), {}
        base = own_base(new, base)
        self._limits.check(new, place)
        for key, value in new.items():
            here = (*place, written_as(schema, key))
            if key in UNSUPPORTED:
                if value is not False:
                    self.prepared.left_out.append(here)
            elif key in NAMED:
                clean[key] = {name: self._clean(part, (*here, name), base) for name, part in value.items()}
            elif key in MANY:
                clean[key] = [self._clean(part, (*here, i), base) for i, part in enumerate(value)]
            elif key in ONE:
                clean[key] = self._clean(value, here, base)
            elif key == "$ref":
                clean[key] = self._reference(value, base, here)
            elif key == "format":
                if value in FORMATS:  # the others are annotations
                    clean[key] = value
                    self._add_examples(FORMATS[value])
            elif key in COUNTS:
                if value < NO_LIMIT or not key.startswith("max"):
                    clean[key] = int(value)  # 5.0 is an integer too
            elif key in DATA:
                clean[key] = value
        if not _can_be_counted(clean):
            self.prepared.left_out.append((*place, "minProperties"))
            del clean["minProperties"]
        _bound_numbers(clean)
        self._collect(clean, place)
        return clean

    def _reference(self, reference: str, base: str, place: Place) -> str:
        """A reference as the compiler is to see it; its target will be cleaned too."""
        target, found, base = self._document.find(reference, base, place)
        if id(target) not in self._names:
            self._names[id(target)] = name = f"d{len(self._names)}"
            self._pending.append((name, target, found, base))
        return f"#/$defs/{self._names[id(target)]}"

    def _collect(self, clean: dict, place: Place) -> None:
        """Notes the patterns of a cleaned schema, and the names and texts that the way out of a document may need."""
        required = set(clean.get("required", ()))
        ordered = [name for name in clean.get("properties", {}) if name in required]
        for name in (*ordered, *clean.get("required", ())):  # the order in which they are written
            if name not in self._required:
                self._required.add(name)
                self.prepared.required.append(name)
        patterns = {clean["pattern"]: (*place, "pattern")} if "pattern" in clean else {}
        patterns |= {pattern: (*place, "patternProperties", pattern) for pattern in clean.get("patternProperties", {})}
        for pattern, here in patterns.items():
            self.prepared.patterns.setdefault(pattern, here)
            self._add_examples(filter(None, (shortest_match(pattern),)))

    def _add_examples(self, examples: Iterable[str]) -> None:
        for example in examples:
            if example not in self._examples:
                self._examples.add(example)
                self.prepared.examples.append(example)


def _as_object(clean: dict | bool) -> dict | bool:
    """A cleaned schema that only objects fit."""
    if isinstance(clean, bool):
        return clean and {"type": "object"}
    kind = clean.get("type", "object")
    if kind == "object" or "object" in kind:
        return clean | {"type": "object"}
    return {"allOf": [{"type": "object"}, clean]}


def _bound_numbers(clean: dict) -> None:
    """Keeps numbers to what a reader of JSON takes as it was written: multiples, which could go on for ever where none
    is met, to those that a double holds; others off an exclusive bound below them (0.0...01 is read as 0). Upper bounds
    stay: the compiler takes 0.9 for too long under a maximum of 0.999999999 (llguidance 1.9.1)."""
    bounds = {key: clean[key] for key in EXCLUSIVE | SIGNS if key in clean}
    if any(abs(bound) >= EXACT_INTEGER for bound in bounds.values()):
        return
    if "multipleOf" in clean:
        for exclusive, inclusive in EXCLUSIVE.items():
            if not clean.keys() & {exclusive, inclusive}:
                clean[inclusive] = -SIGNS[inclusive] * EXACT_INTEGER
    elif "number" in clean.get("type", ()):
        for exclusive, inclusive in EXCLUSIVE.items():
            if SIGNS[inclusive] * bounds.get(exclusive, -SIGNS[inclusive]) >= 0:
                _keep_off(clean, bounds, exclusive, inclusive)


def _keep_off(clean: dict, bounds: dict[str, float], exclusive: str, inclusive: str) -> None:
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
    return clean.get("minProperties", 0) <= max(1, len(clean.get("required", ())))


def require_end(value: dict | bool, places: dict[str, Place], limits: Limits) -> None:
    """Raises SchemaError where a schema in a prepared one refers to itself without an end, every document of it would
    be infinite, or one value has too many alternatives. places: of each of its `$defs`. limits: counts alternatives."""
    graph = _Graph(value, places)
    for schema, place in graph.schemas():
        ways = graph.count_ways(schema, place)
        written = 0 if isinstance(schema, bool) else sum(len(schema.get(keyword, ())) for keyword in IN_PLACE)
        if written:  # these are counted as schemas already
            limits.counts[ALTERNATIVES] += max(0, ways - written)
    graph.require_few_patterns()
    if not graph.can_end():
        raise SchemaError((), "no finite document can fit it")


class _Graph:
    """The schemas inside a prepared one, told apart by the identity of their objects."""

    def __init__(self, value: dict | bool, places: dict[str, Place]):
        self._root = value
        self._defs = value.get("$defs", {}) if isinstance(value, dict) else {}
        self._places = places
        self._ways: dict[int, int] = {}
        self._open: set[int] = set()  # whose ways are being counted
        self._known_patterns: dict[int, frozenset[str]] = {}
        self._known_kinds: dict[int, frozenset] = {}
        self._ending: set[tuple[int, frozenset]] = set()  # (id, kinds) that a finite document was found for

    def schemas(self) -> Iterator[tuple[dict | bool, Place]]:
        """All schemas, with their places."""
        pending = [(self._root, ()), *((schema, self._places[name]) for name, schema in self._defs.items())]
        while pending:
            schema, place = pending.pop()
            yield schema, place
            if isinstance(schema, dict):
                pending += parts_of(schema, place)

    def count_ways(self, schema: dict | bool, place: Place) -> int:
        """Number of alternatives of one value. SchemaError: too many, or the schema reaches itself without a step into
        the document."""
        if isinstance(schema, bool):
            return 1
        key = id(schema)
        if key in self._open:
            raise SchemaError(place, "it refers to itself without an end")
        if key not in self._ways:
            self._open.add(key)
            ways = self.count_ways(self._target(schema), (*place, "$ref")) if "$ref" in schema else 1
            for keyword in ("anyOf", "oneOf"):
                if keyword in schema:
                    parts = enumerate(schema[keyword])
                    ways *= max(1, sum(self.count_ways(part, (*place, keyword, i)) for i, part in parts))
            for i, part in enumerate(schema.get("allOf", ())):
                ways *= self.count_ways(part, (*place, "allOf", i))
                if ways > MAX_ALTERNATIVES:
                    break
            if ways > MAX_ALTERNATIVES:
                reason = f"it has more than {MAX_ALTERNATIVES:,} alternatives, those of allOf multiplied out"
                raise SchemaError(place, reason)
            self._open.discard(key)
            self._ways[key] = ways
        return self._ways[key]

    def require_few_patterns(self) -> None:
        """SchemaError: too many patterns may have to hold for one text, as far as the names of properties tell."""
        if not any(_joins(schema) for schema, _ in self.schemas() if isinstance(schema, dict)):
            return
        found: dict[str | None, set[str]] = {None: set(self._patterns(self._root))}  # None: of any name or index
        for schema, _ in self.schemas():
            for place, part in () if isinstance(schema, bool) else ((p, s) for s, p in parts_of(schema, ())):
                if place[0] not in IN_PLACE:
                    name = str(place[1]) if place[0] == "properties" else None
                    found.setdefault(name, set()).update(self._patterns(part))
        for name, patterns in found.items():
            if len(patterns | found[None]) > MAX_JOINED_PATTERNS:
                what = "one text" if name is None else f"the property {shown(name)}"
                raise SchemaError((), f"more than {MAX_JOINED_PATTERNS} patterns may hold for {what} at a time")

    def _patterns(self, schema: dict | bool) -> frozenset[str]:
        """Patterns and formats that a text must match to fit a schema."""
        if isinstance(schema, bool):
            return frozenset()
        if id(schema) not in self._known_patterns:
            parts = [part for part, place in parts_of(schema, ()) if place[0] in IN_PLACE]
            parts += [self._target(schema)] if "$ref" in schema else []
            own = {schema[key] for key in ("pattern", "format") if key in schema}
            self._known_patterns[id(schema)] = frozenset(own.union(*map(self._patterns, parts)))
        return self._known_patterns[id(schema)]

    def can_end(self) -> bool:
        """Whether a finite document fits, as far as required names and least items tell."""
        for _ in range(MAX_ROUNDS):
            known = len(self._ending)
            self._visited: set[tuple[int, frozenset]] = set()
            if self._ends(self._root, KINDS):
                return True
            if len(self._ending) == known:
                break
        return False

    def _ends(self, schema: dict | bool, kinds: frozenset) -> bool:
        """Whether a finite document of some kinds is known to fit a schema, or found now."""
        if isinstance(schema, bool):
            return schema
        kinds &= self._kinds(schema)
        key = (id(schema), kinds)
        if key in self._ending or key in self._visited:
            return key in self._ending
        self._visited.add(key)
        parts = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.append(self._target(schema))
        ends = all(self._ends(part, kinds) for part in parts)
        for keyword in ("anyOf", "oneOf"):
            ends = ends and (keyword not in schema or any(self._ends(part, kinds) for part in schema[keyword]))
        if ends and not kinds - {"array", "object"}:
            ends = any(self._inside_ends(schema, kind) for kind in kinds)
        if ends:
            self._ending.add(key)
        return ends

    def _inside_ends(self, schema: dict, kind: str) -> bool:
        """Whether the values that an object or an array must hold can end."""
        if kind == "object":
            properties = schema.get("properties", {})
            return all(self._ends(properties.get(name, True), KINDS) for name in schema.get("required", ()))
        least, prefix = schema.get("minItems", 0), schema.get("prefixItems", [])
        items = [*prefix[:least], *([schema.get("items", True)] if least > len(prefix) else [])]
        return all(self._ends(item, KINDS) for item in items)

    def _kinds(self, schema: dict | bool) -> frozenset:
        """The types of the values that fit a schema; each is looked at once, as allOf may lead to one in many ways."""
        if isinstance(schema, bool):
            return KINDS
        if id(schema) not in self._known_kinds:
            kinds = schema.get("type", KINDS)
            kinds = frozenset((kinds,) if isinstance(kinds, str) else kinds)
            for part in schema.get("allOf", ()):
                kinds &= self._kinds(part)
            if "$ref" in schema:
                kinds &= self._kinds(self._target(schema))
            self._known_kinds[id(schema)] = kinds
        return self._known_kinds[id(schema)]

    def _target(self, schema: dict) -> dict | bool:
        """The schema that a `$ref` leads to."""
        return self._defs[schema["$ref"].removeprefix("#/$defs/")]


def _joins(schema: dict) -> bool:
    """Whether a schema makes several schemas hold for one value, or for parts of it."""
    joined = [key for key in (*IN_PLACE, "$ref") if key in schema]
    alone = len(joined) == 1 and not schema.keys() - {*joined, "$defs"} and len(schema.get("allOf", ())) <= 1
    return bool(schema.get("patternProperties")) or (bool(joined) and not alone)


def parts_of(schema: dict, place: Place) -> Iterator[tuple[dict | bool, Place]]:
    """The schemas right inside a prepared one at a place, with their places."""
    for key, value in schema.items():
        if key in ONE:
            yield value, (*place, key)
        elif key in MANY:
            yield from ((part, (*place, key, i)) for i, part in enumerate(value))
        elif key in NAMED:
            yield from ((part, (*place, key, name)) for name, part in value.items())
