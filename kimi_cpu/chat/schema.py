"""The one door for JSON schemas: checked, held to limits, and made ready for the grammar compiler, so that what the
compiler need not see, or cannot do, is left out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from .patterns import shortest_match
from .schema_document import EXCLUSIVE, Document, Place, SchemaError, modern, own_base, written_as
from .schema_ends import MANY, NAMED, ONE, require_end
from .schema_limits import Limits, check_depth

DATA = {"const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf", "pattern"}
DATA |= {"required", "type"}
COUNTS = {"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"}
UNSUPPORTED = {"$dynamicRef", "$recursiveRef", "contains", "dependencies", "dependentRequired", "dependentSchemas"}
UNSUPPORTED |= {"if", "not", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"}
NO_LIMIT = 2**25  # characters or items: more than any answer can have
MAX_INTEGER = 2**53 - 1  # JSON readers keep integers up to it exactly: RFC 8259, section 6
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
    """A JSON schema for the compiler: references lead to its `$defs`, which hold nothing else. required: every name
    that some object in it must have; examples: short texts, one or more for each pattern and format in it; left_out:
    places of keywords that assert something and cannot be enforced; patterns: a place of each; places: of each of
    `$defs`."""

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
    """What has been made of a schema so far."""

    def __init__(self, root: dict | bool, limits: Limits, objects: bool):
        self._limits = limits
        self._document = Document(root)
        self._names: dict[int, str] = {}  # id of a referenced schema -> its name in `$defs`
        self._pending: list[tuple[str, object, Place, str]] = []
        self._examples: set[str] = set()
        self._required: set[str] = set()
        self.prepared = Schema(True)
        value, defs = self._clean(root, (), ""), {}
        value = _as_object(value) if objects else value
        while self._pending:
            name, target, place, base = self._pending.pop()
            self.prepared.places[name] = place
            defs[name] = self._clean(target, place, base)
        self.prepared.value = value | {"$defs": defs} if defs else value
        require_end(self.prepared.value, self.prepared.places, limits)

    def _clean(self, schema: dict | bool, place: Place, base: str) -> dict | bool:
        if isinstance(schema, bool):
            return schema
        new, clean = modern(schema), {}
        base = own_base(new, base)
        self._limits.check(new, place)
        for key, value in new.items():
            here = (*place, written_as(schema, key))
            if key in UNSUPPORTED and value is not False:
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
        """What the compiler is to see of a reference; its target will be cleaned too."""
        target, found, base = self._document.find(reference, base, place)
        if id(target) not in self._names:
            self._names[id(target)] = name = f"d{len(self._names)}"
            self._pending.append((name, target, found, base))
        return f"#/$defs/{self._names[id(target)]}"

    def _collect(self, clean: dict, place: Place) -> None:
        """Notes patterns, and names and texts that the shortest way out of a document may need."""
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
    """The schema, for objects alone."""
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
    return clean.get("minProperties", 0) <= max(1, len(clean.get("required", ())))
