"""Whether a prepared schema can be met by a finite document, and how many ways it takes to say so."""

from collections.abc import Iterator

from ..errors import shown
from .schema_document import Place, SchemaError
from .schema_limits import ALTERNATIVES, MAX_ALTERNATIVES, Limits

MAX_ROUNDS = 32  # a schema needs more where ends are found one by one against the order of its references
MAX_JOINED_PATTERNS = 4  # the compiler looks for a text that all of them match, and takes for ever with 24
ONE = {"items", "additionalProperties"}  # keyword -> a schema
MANY = {"anyOf", "oneOf", "allOf", "prefixItems"}  # keyword -> a list of schemas
NAMED = {"properties", "patternProperties"}  # keyword -> name -> a schema
IN_PLACE = ("allOf", "anyOf", "oneOf")  # keyword -> schemas of the same value
KINDS = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))


def require_end(value: dict | bool, places: dict[str, Place], limits: Limits) -> None:
    """places: of each of its `$defs`. limits: to count alternatives. SchemaError: a schema in it refers to itself
    without an end, every document of it would be infinite, or one value has too many alternatives."""
    graph = _Graph(value, places)
    for schema, place in graph.schemas():
        ways = graph.count_ways(schema, place)
        written = 0 if isinstance(schema, bool) else sum(len(schema.get(keyword, ())) for keyword in IN_PLACE)
        if written:  # those are counted as schemas
            limits.counts[ALTERNATIVES] += max(0, ways - written)
    graph.require_few_patterns()
    if not graph.can_end():
        raise SchemaError((), "no finite document can fit it")


class _Graph:
    """The schemas inside a prepared one. Identity is that of the objects."""

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
        """All of them."""
        pending = [(self._root, ()), *((schema, self._places[name]) for name, schema in self._defs.items())]
        while pending:
            schema, place = pending.pop()
            yield schema, place
            if isinstance(schema, dict):
                pending += parts_of(schema, place)

    def count_ways(self, schema: dict | bool, place: Place) -> int:
        """Alternatives of one value. SchemaError: too many, or it reaches itself without a step into the document."""
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
                    name = place[1] if place[0] == "properties" else None
                    found.setdefault(name, set()).update(self._patterns(part))
        for name, patterns in found.items():
            if len(patterns | found[None]) > MAX_JOINED_PATTERNS:
                what = "one text" if name is None else f"the property {shown(name)}"
                raise SchemaError((), f"more than {MAX_JOINED_PATTERNS} patterns may hold for {what} at a time")

    def _patterns(self, schema: dict | bool) -> frozenset[str]:
        """Those of a text that the schema is for."""
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
        """Whether one is known, or found now, for values of some kinds."""
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
        """Whether what an object or an array must hold can end."""
        if kind == "object":
            properties = schema.get("properties", {})
            return all(self._ends(properties.get(name, True), KINDS) for name in schema.get("required", ()))
        least, prefix = schema.get("minItems", 0), schema.get("prefixItems", [])
        items = [*prefix[:least], *([schema.get("items", True)] if least > len(prefix) else [])]
        return all(self._ends(item, KINDS) for item in items)

    def _kinds(self, schema: dict | bool) -> frozenset:
        """The types that it may be of; each schema is looked at once, as allOf may lead to one in many ways."""
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
        return self._defs[schema["$ref"].removeprefix("#/$defs/")]


def _joins(schema: dict) -> bool:
    """Whether several schemas hold for one value or for parts of it."""
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
