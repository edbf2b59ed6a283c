"""The form that an answer must have: OpenAI's response_format, and the flat form of other APIs."""

from ..errors import RequestError, shown
from .field import refuse_unknown

LABELS = {"name": (str, "a text"), "description": (str, "a text"), "strict": (bool, "true or false")}  # beside a schema


def answer_schema(
    response_format: dict | None, where: str = "response_format", flat: bool = False
) -> dict | bool | None:
    """The JSON schema that the answer must have, None for free text.

    The forms are OpenAI's, and llama.cpp's json_object with a schema. where: the field's name for the client. flat:
    what json_schema holds stands beside the type, as in the Responses API. RequestError: it is malformed.
    """
    if response_format is None:
        return None
    if not isinstance(response_format, dict):
        raise RequestError(f"{where} is {shown(response_format)}; it must be an object.")
    kind = response_format.get("type")
    rest = {key: value for key, value in response_format.items() if key != "type" and value is not None}
    if kind == "text":
        refuse_unknown(rest, (), where)
        return None
    if kind == "json_object":
        refuse_unknown(rest, ("schema",), where)
        return _schema(rest, where) if "schema" in rest else {"type": "object"}
    if kind != "json_schema":
        raise RequestError(f"{where}.type is {shown(kind)}; it must be 'text', 'json_object' or 'json_schema'.")
    if not flat:
        refuse_unknown(rest, ("json_schema",), where)
        where = f"{where}.json_schema"
        rest = rest.get("json_schema")
        if not isinstance(rest, dict):
            raise RequestError(f"{where} is missing or no object; it must hold a schema.")
    refuse_unknown(rest, {"schema", *LABELS}, where)
    for name, (kind, words) in LABELS.items():
        if rest.get(name) is not None and not isinstance(rest[name], kind):
            raise RequestError(f"{where}.{name} is {shown(rest[name])}; it must be {words}.")
    return _schema(rest, where)


def _schema(holder: dict, where: str) -> dict | bool:
    schema = holder.get("schema")
    if not isinstance(schema, dict | bool):
        raise RequestError(f"{where}.schema is missing or no schema; it must be an object, true or false.")
    return schema
