"""A JSON schema as a document: checked by JSON Schema's own meta-schema, read in the words of draft 2020-12 whatever
draft it was written in, and with its references followed inside it."""

import re
from urllib.parse import unquote, urljoin

from ..errors import RequestError, shown

ONE = {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"}
ONE |= {"unevaluatedItems", "unevaluatedProperties"}  # keyword -> a schema
MANY = {"allOf", "anyOf", "oneOf", "prefixItems"}  # keyword -> a list of schemas
NAMED = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}  # keyword -> name -> a schema
EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
PLAIN_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
MAX_PLACE = 200  # characters of a place in a message
MAX_REASON = 300

Place = tuple[str | int, ...]  # keys and indexes from the root


class SchemaError(RequestError):
    """A schema that cannot be enforced: where, and why."""

    def __init__(self, place: Place, reason: str):
        super().__init__(f"{json_path(place)}: {' '.join(reason.split())[:MAX_REASON]}")


def json_path(place: Place) -> str:
    """The place as a JSON path: `$.properties.a.anyOf[0]`."""
    parts = [
        f"[{key}]" if isinstance(key, int) else f".{key}" if PLAIN_NAME.fullmatch(key) else f"[{key[:64]!r}]"
        for key in place
    ]
    path = "$" + "".join(parts)
    return path if len(path) <= MAX_PLACE else f"{path[: MAX_PLACE // 2]}…{path[-MAX_PLACE // 2 :]}"


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
    """The keyword of a schema that stands for a modern one."""
    if isinstance(schema, dict):
        if key == "prefixItems" and isinstance(schema.get("items"), list):
            return "items"
        if key == "items" and isinstance(schema.get("items"), list):
            return "additionalItems"
        if key in EXCLUSIVE and isinstance(schema.get(key), bool):
            return EXCLUSIVE[key]
    return key


class Document:
    """A schema and what its references name. SchemaError: JSON Schema forbids it."""

    def __init__(self, root: dict | bool):
        self._root = root
        self._named: dict[str, tuple] = {"": (root, (), "")}  # absolute URI, or URI#anchor -> schema, place, base
        self._checked: set[int] = set()  # ids of the schemas that were
        self._check(root, (), "")

    def find(self, reference: str, base: str, place: Place) -> tuple[dict | bool, Place, str]:
        """What a reference at a place names, where that is, and the base URI of what it stands in. base: the URI that
        the reference is relative to."""
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
            key = step.replace("~1", "/").replace("~0", "~")
            base = own_base(target, base) if isinstance(target, dict) else base
            try:
                key = int(key) if isinstance(target, list) else key
                target = target[key]
            except (LookupError, TypeError, ValueError):
                raise SchemaError(place, f"{shown(reference)} names nothing in the schema") from None
            found = (*found, key)
        if id(target) not in self._checked:
            self._check(target, found, base)
        return target, found, base

    def _check(self, schema: object, place: Place, base: str) -> None:
        """Against the meta-schema, and for the names in it."""
        import jsonschema_rs  # 12 ms, and most requests have no schema

        if not isinstance(schema, dict | bool):
            raise SchemaError(place, f"{shown(schema)} is no JSON schema")
        try:
            jsonschema_rs.meta.validate(self._modern(schema, place, base))
        except jsonschema_rs.ValidationError as error:
            raise SchemaError((*place, *_original(schema, error.instance_path)), error.message) from None

    def _modern(self, schema: object, place: Place, base: str) -> object:
        """The schema and all schemas in it in modern words."""
        self._checked.add(id(schema))
        if not isinstance(schema, dict):
            return schema
        new = modern(schema)
        base = self._name(schema, new, place, base)
        for key, value in new.items():
            here = (*place, written_as(schema, key))
            if key in ONE:
                new[key] = self._modern(value, here, base)
            elif key in MANY and isinstance(value, list):
                new[key] = [self._modern(part, (*here, i), base) for i, part in enumerate(value)]
            elif key in NAMED and isinstance(value, dict):
                new[key] = {name: self._modern(part, (*here, name), base) for name, part in value.items()}
        return new

    def _name(self, schema: dict, new: dict, place: Place, base: str) -> str:
        """Notes the schema's own URI and anchors; the URI for what is in it."""
        own = own_base(new, base)
        if own != base:
            self._named.setdefault(own, (schema, place, base))
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(new.get(key), str):
                self._named.setdefault(f"{own}#{new[key]}", (schema, place, base))
        return own


def own_base(schema: dict, base: str) -> str:
    """The URI that references in a modern schema are relative to. base: that of what it stands in."""
    name = schema.get("$id")
    return urljoin(base, name).partition("#")[0] if isinstance(name, str) else base


def _original(schema: object, path: list[str | int]) -> Place:
    """A path in the modern form of a schema as a path in the schema."""
    place = []
    for key in path:
        place.append(written_as(schema, key))
        try:
            schema = schema[place[-1]]
        except (LookupError, TypeError):
            schema = None
    return tuple(place)
