"""Thirty schemas of tool arguments, of the kinds that agents declare."""


def closed(required=None, **properties):
    """An object of these properties and no others; all of them required unless said otherwise."""
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


STRING, INTEGER, NUMBER, BOOLEAN = ({"type": t} for t in ("string", "integer", "number", "boolean"))
NULLABLE = {"type": ["string", "null"]}
POINT = closed(x=NUMBER, y=NUMBER)


def array(items, **bounds):
    return {"type": "array", "items": items, **bounds}


TREE = {
    "type": "object",
    "properties": {
        "children": array({"$ref": "#/$defs/node"}),
        "node": {"$ref": "#/$defs/node"},
    },
    "required": ["node"],
    "$defs": {"node": closed(["value"], left={"$ref": "#/$defs/node"}, value=INTEGER, right={"$ref": "#/$defs/node"})},
}

SCHEMAS = [
    closed(city=STRING),
    closed(["city"], city=STRING, unit={"enum": ["celsius", "fahrenheit"]}),
    {"type": "object"},
    {"type": "object", "properties": {"query": STRING, "limit": INTEGER}, "required": ["query"]},
    {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9}},
    closed(id={"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}),
    closed(path={"type": "string", "pattern": r"\.(txt|md)$"}, append=BOOLEAN),
    closed(mail={"type": "string", "pattern": r"^[A-Za-z0-9_]+(\.[a-z]+)*@[a-z]+\.com$"}),
    closed(version={"type": "string", "pattern": r"^\d+(\.\d+)*-final$"}, note=NULLABLE),
    closed(age={"type": "integer", "minimum": 0, "maximum": 150}),
    closed(score={"type": "number", "minimum": -1, "maximum": 1}),
    closed(rate={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    closed(step={"type": "integer", "multipleOf": 7, "minimum": 1}, half={"type": "number", "multipleOf": 0.5}),
    closed(below={"type": "integer", "maximum": -5}, above={"type": "number", "exclusiveMinimum": 1000}),
    closed(tags=array(STRING, minItems=1, maxItems=5)),
    closed(points=array(POINT, minItems=2)),
    closed(matrix=array(array(NUMBER, minItems=3, maxItems=3), minItems=3, maxItems=3)),
    closed(pair={"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2}),
    closed(user=closed(["name"], name=STRING, address=closed(street=STRING, zip={"type": "string", "minLength": 5}))),
    closed(level={"enum": [1, 2.5, "high", None, True, [1, 2], {"a": "b"}]}),
    closed(kind={"const": "move"}, to=POINT, speed={"type": "number", "minimum": 0.25}),
    closed(target={"anyOf": [STRING, INTEGER, POINT, {"type": "null"}]}),
    closed(shape={"oneOf": [closed(r=NUMBER, t={"const": "circle"}), closed(w=NUMBER, t={"const": "box"})]}),
    closed(both={"allOf": [{"type": "string", "minLength": 2}, {"type": "string", "maxLength": 8}]}),
    closed(short={"type": "string", "maxLength": 12}, long={"type": "string", "minLength": 200}),
    TREE,
    closed(day={"type": "string", "format": "date"}, at={"type": "string", "format": "date-time"}, key=STRING),
    closed(
        ["edits"],
        edits=array(closed(["op", "line"], op={"enum": ["add", "del"]}, line=INTEGER, text=STRING), maxItems=20),
        dry=BOOLEAN,
    ),
    closed(["a", "c"], a=STRING, b=INTEGER, c=BOOLEAN, d=array(BOOLEAN), e={"type": "null"}, f=NULLABLE),
    closed(**{'quo"te': STRING, "ключ": array(INTEGER, minItems=1), "with space": {"type": "object"}}),
]
