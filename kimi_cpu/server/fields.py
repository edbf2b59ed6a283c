"""What all request bodies share: unknown fields are refused by name, those without an effect are taken."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, WithJsonSchema, model_validator

from ..llm import openai

# Fields that clients send and that change nothing in an answer: OpenAI's, and other protocols'.
WITHOUT_EFFECT = openai.WITHOUT_EFFECT | {
    "cache_control",
    "cache_prompt",
    "diagnostics",
    "inference_geo",
    "request_id",
    "speed",
    "user_profile_id",
    "workspace_id",
}


def described(required: dict, **optional: dict) -> Any:
    """A type of JSON objects whose fields are described, but checked only where they are read."""
    schema = {"type": "object", "properties": required | optional, "required": list(required)}
    return Annotated[dict[str, Any], WithJsonSchema(schema)]


TEXT = {"type": "string"}
TEXT_OR_PARTS = {"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}]}
FUNCTION = {
    "type": "object",
    "properties": {"name": TEXT, "description": TEXT, "parameters": {"type": "object"}},
    "required": ["name"],
}
Message = described(
    {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
    content={"anyOf": [*TEXT_OR_PARTS["anyOf"], {"type": "null"}]},
    reasoning_content=TEXT,
    tool_calls={"type": "array", "items": {"type": "object"}},
    tool_call_id=TEXT,
    partial={"type": "boolean"},
)
Tool = described({"type": {"const": "function"}, "function": FUNCTION})


class Body(BaseModel):
    """A request. A field that is null is as good as absent. `fixed` values are those of features there is only one
    way of; another value is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    fixed: ClassVar[dict[str, tuple]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_noise(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name, allowed in cls.fixed.items():
            if data.get(name) is not None and data[name] not in allowed:
                raise ValueError(f"{name} {data[name]!r} is not supported; leave it out.")
        noise = (WITHOUT_EFFECT | cls.fixed.keys()) - cls.model_fields.keys()
        return {k: v for k, v in data.items() if v is not None and k not in noise}
