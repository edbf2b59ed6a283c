"""The dialects in which clients say one thing, read as one: fields of a request as keywords of LLM.submit, forms of an
answer as a schema, ids of calls."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import RequestError, shown
from .field import Door, refuse_unknown, unknown
from .fields import COMPLETION_TOKENS, EFFORTS, FIXED, PYTHON, SHAPE, THINKING, WITHOUT_EFFECT, fields_at

REASONING_KEYS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")  # of an assistant's message
_DIALECTS = ("no_think", "think_budget", "thinking", "reasoning_effort", "reasoning")  # of saying how long to think
_BUDGETS = ("think_budget", "thinking.budget_tokens", "reasoning.max_tokens")


def read(
    body: Mapping[str, Any], door: Door, defaults: Mapping[str, Any] | None = None, others: Collection[str] = ()
) -> dict[str, Any]:
    """The fields that a body gives, under their own names and checked. Null is absent; labels and hints are left out.

    defaults: values, checked ones, of fields that the body does not give; of those on thinking, none if it gives any.
    others: names that the caller looks at itself. RequestError names the field as the body does.
    """
    known, fixed = fields_at(door), FIXED.get(door, {})
    given: dict[str, Any] = {}
    said: dict[str, str] = {}  # a field's name: what the body calls it
    for name, value in body.items():
        if value is None or (name in WITHOUT_EFFECT and name not in known and name not in others):
            continue
        if name in fixed:
            if value not in fixed[name]:
                raise RequestError(f"{name} {shown(value)} is not supported; leave it out.", name, "invalid_value")
        elif name in known:
            field = known[name]
            value = field.checked(value, name)
            if given.setdefault(field.name, value) != value:
                message = f"{said[field.name]} and {name} are the same and differ here; give one."
                raise RequestError(message, name, "invalid_value")
            said.setdefault(field.name, name)
        elif name in others:
            given[name] = value
        else:
            raise unknown(name, known if door in PYTHON else ())
    names = {field.name for field in known.values()}
    _check({name: value for name, value in given.items() if name in names})
    thinks = any(field.name in given for field in THINKING)
    left_out = {field.name for field in THINKING} if thinks else set()
    filled = {k: v for k, v in (defaults or {}).items() if k in names - left_out}
    return filled | given


def _check(given: Mapping[str, Any]) -> None:
    """RequestError: fields that contradict each other."""
    wrong = None
    if "stream_options" in given and not given.get("stream"):
        wrong = "stream_options is only for streams; set stream, or leave it out."
    elif given.get("top_logprobs") and not given.get("logprobs"):
        wrong = "top_logprobs must stand beside logprobs: true."
    elif given.get("echo") and "logprobs" in given:
        wrong = "echo is not supported with logprobs; take LLM.logits for the prompt's own probabilities."
    if wrong is not None:
        raise RequestError(wrong, wrong.partition(" ")[0], "invalid_value")


def chat_keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of LLM.submit for messages. given: fields of a chat, as `read` returns them."""
    options = _without_shape(given)
    if given.get("logprobs"):
        options["logprobs"] = given.get("top_logprobs", 0)
    return think_keywords(options)


def completion_keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of LLM.submit for a raw prompt. given: fields of a completion, as `read` returns them."""
    logprobs = {"logprobs": given["logprobs"]} if "logprobs" in given else {}
    return {"max_tokens": COMPLETION_TOKENS} | _without_shape(given) | logprobs


def _without_shape(given: Mapping[str, Any]) -> dict[str, Any]:
    shape = {field.name for field in SHAPE}
    return {name: value for name, value in given.items() if name not in shape}


def think_keywords(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with all that is said about thinking told by no_think, think_budget and think_seconds.

    A budget, or the word that thinking is off, comes before a level of effort; whatever else contradicts itself is a
    RequestError.
    """
    options = {name: value for name, value in given.items() if name not in _DIALECTS}
    thinking, reasoning = given.get("thinking") or {}, given.get("reasoning") or {}
    variables = given.get("template_kwargs") or {}
    switches = (variables.get("thinking"), variables.get("enable_thinking"))  # of other models' templates
    said = {
        "chat_template_kwargs": False if False in switches else None,
        "no_think": False if given.get("no_think") else None,
        "think_budget": given.get("think_budget"),
        "think_seconds": given.get("think_seconds"),
        "thinking.type": {"disabled": False, None: None}.get(thinking.get("type"), True),
        "thinking.budget_tokens": thinking.get("budget_tokens"),
        "reasoning_effort": given.get("reasoning_effort"),
        "reasoning.effort": reasoning.get("effort"),
        "reasoning.max_tokens": reasoning.get("max_tokens"),
        "reasoning.enabled": reasoning.get("enabled"),
    }
    said = {name: value for name, value in said.items() if value is not None}
    efforts = {name: value for name, value in said.items() if name.endswith("effort")}
    budgets = {name: said[name] for name in _BUDGETS if name in said}
    closing = [name for name, value in said.items() if value is False or value == "none"]
    opening = [name for name, value in said.items() if value is True] + [n for n, value in budgets.items() if value]
    opening += ["think_seconds"] if said.get("think_seconds") else []
    if closing and opening:
        raise _contradiction(opening[0], closing[0])
    for same in (budgets, efforts):
        if len(set(same.values())) > 1:
            raise _contradiction(*list(same)[:2])
    if closing:
        return options | {"no_think": True}
    if budgets:
        return options | {"think_budget": next(iter(budgets.values()))}
    if efforts and "think_seconds" not in said:
        budget = EFFORTS[next(iter(efforts.values()))]
        return options if budget is None else options | {"think_budget": budget}
    return options


def _contradiction(first: str, second: str) -> RequestError:
    return RequestError(f"{first} and {second} contradict each other; give one.", first, "invalid_value")


LABELS = {"name": (str, "a text"), "description": (str, "a text"), "strict": (bool, "true or false")}  # beside a schema


def answer_schema(
    response_format: Mapping[str, Any] | None, where: str = "response_format", flat: bool = False
) -> dict[str, Any] | bool | None:
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


def _schema(holder: dict[str, Any], where: str) -> dict[str, Any] | bool:
    schema = holder.get("schema")
    if not isinstance(schema, dict | bool):
        raise RequestError(f"{where}.schema is missing or no schema; it must be an object, true or false.")
    return schema


def letters(call_id: str) -> str:
    """A tool call's id without dots and colons: some clients replace them, in calls or in results only."""
    return re.sub(r"\W", "_", call_id)
