"""What all request bodies share: their fields are the table's, unknown ones are refused by name."""

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, WithJsonSchema, create_model, model_validator
from pydantic import Field as PydanticField

from ..config.field import Door, Field
from ..config.fields import WITHOUT_EFFECT, fields_at
from ..config.parameters import read
from ..errors import RequestError, shown

MAX_FIELDS = 200  # of an object whose fields are known; each unknown one would be an error of its own


def described(required: dict, **optional: dict) -> Any:
    """A type of JSON objects whose fields are described, but checked only where they are read."""
    schema = {"type": "object", "properties": required | optional, "required": list(required)}
    return Annotated[dict[str, Any], WithJsonSchema(schema)]


Item = TypeVar("Item")
Items = Annotated[list[Item], PydanticField(fail_fast=True)]  # a list that is refused for its first wrong item
TEXT = {"type": "string"}
TEXT_OR_PARTS = {"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}]}
FUNCTION = {
    "type": "object",
    "properties": {"name": TEXT, "description": TEXT, "parameters": {"type": "object"}},
    "required": ["name"],
}
Message = described(
    {"role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]}},
    content={"anyOf": [*TEXT_OR_PARTS["anyOf"], {"type": "null"}]},
    reasoning_content=TEXT,
    tool_calls={"type": "array", "items": {"type": "object"}},
    tool_call_id=TEXT,
    partial={"type": "boolean"},
)
Tool = described({"type": {"const": "function"}, "function": FUNCTION})


def text_of(value: object, where: str) -> str:
    """A text that must be there. RequestError: it is not."""
    if not isinstance(value, str):
        raise RequestError(f"{where} is missing or no text.")
    return value


class Body(BaseModel):
    """A request. A field that is null is as good as absent. door: where it comes in; fields that the table has there
    are checked as the table says. `fixed` values are those of features there is only one way of; another is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    door: ClassVar[Door | None] = None
    fixed: ClassVar[dict[str, tuple]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_noise(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if len(data) > MAX_FIELDS:
            raise ValueError(f"The request has {len(data):,} fields; {MAX_FIELDS} are more than there are.")
        for name, allowed in cls.fixed.items():
            if data.get(name) is not None and data[name] not in allowed:
                raise ValueError(f"{name} {shown(data[name])} is not supported; leave it out.")
        noise = (WITHOUT_EFFECT | cls.fixed.keys()) - cls.model_fields.keys()
        given = {k: v for k, v in data.items() if v is not None and k not in noise}
        return given if cls.door is None else read(given, cls.door, others=cls.model_fields.keys() - cls._of_table())

    def given(self) -> dict[str, Any]:
        """The fields of the table that the request gives."""
        return {name: getattr(self, name) for name in self.model_fields_set & self._of_table()}

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool((getattr(self, "stream_options", None) or {}).get("include_usage"))

    @classmethod
    def _of_table(cls) -> set[str]:
        return {field.name for field in fields_at(cls.door).values()}


def body_at(door: Door) -> type[Body]:
    """A body with the fields that the table has at a door, under the table's names; described under the door's."""
    known = fields_at(door)
    fields: dict[str, Any] = {f.name: (described_as(f), f.default) for f in known.values()}
    renamed = {f.name for f in known.values()} - known.keys()
    others = {name: f.schema for name, f in known.items() if name != f.name}

    def as_called(schema: dict) -> None:
        properties = {name: value for name, value in schema["properties"].items() if name not in renamed}
        schema["properties"] = properties | others

    made = create_model("Fields", __base__=Body, __doc__="Fields of the table.", **fields)
    made.model_config["json_schema_extra"] = as_called
    made.door = door
    return made


def described_as(field: Field) -> Any:
    """A type that says what a field is, and checks nothing: that was done before."""
    return Annotated[Any, WithJsonSchema(field.schema)]
