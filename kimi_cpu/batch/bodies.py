"""Bodies of OpenAI's requests, checked field by field, as what LLM.submit and LLM.samples take."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr  # that of a hostile value may be as long as its line
from typing import Any

from ..llm.openai import MAX_SAMPLES, WITHOUT_EFFECT, chat_options, completion_options
from .results import Failure
from .source import CHAT

NUMBER, INTEGER, FLAG, OBJECT, ITEMS = "a number", "an integer", "true or false", "an object", "a list"
_TYPES = {NUMBER: (int, float), INTEGER: int, FLAG: bool, OBJECT: dict, ITEMS: list}
SAMPLING = {  # fields of kimi_cpu.Sampling, which checks their values
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_k": INTEGER,
    "min_p": NUMBER,
    "repeat_penalty": NUMBER,
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "logit_bias": OBJECT,
    "seed": INTEGER,
    "stop": "a text or a list of texts",
    "ignore_eos": FLAG,
    "max_tokens": INTEGER,
}
COMMON = SAMPLING | {"n": INTEGER, "stream": FLAG}
CHAT_FIELDS = COMMON | {
    "messages": ITEMS,
    "max_completion_tokens": INTEGER,
    "logprobs": FLAG,
    "top_logprobs": INTEGER,
    "tools": ITEMS,
    "tool_choice": "a text or an object",
    "parallel_tool_calls": FLAG,
    "response_format": OBJECT,
    "reasoning_effort": "a text",
    "no_think": FLAG,
    "think_budget": INTEGER,
    "chat_template_kwargs": OBJECT,
}
COMPLETION_FIELDS = COMMON | {"prompt": "a text, a list of ids, or a list of either", "logprobs": INTEGER, "echo": FLAG}


@dataclass(frozen=True)
class Call:
    """What is asked of the model: n answers to each prompt, which is messages, a text or ids. echo: OpenAI's."""

    prompts: list
    n: int
    options: dict
    echo: bool = False


def read_body(url: str, body: Mapping[str, Any], defaults: Mapping[str, Any]) -> Call | Failure:
    """What a body asks for. defaults: fields that it has where it does not name them. A field that is null is as good
    as absent; values of sampling parameters are not looked at."""
    given = {name: value for name, value in body.items() if value is not None and name not in WITHOUT_EFFECT}
    fields = CHAT_FIELDS if url == CHAT else COMPLETION_FIELDS
    for name, value in given.items():
        if name not in fields:
            message = f"Unknown parameter {name!r}: it is refused, because to ignore it could change the answer."
            return Failure(message, "unknown_parameter", name)
        if not _has_type(value, fields[name]):
            return Failure(f"{name} is {repr(value)}; it must be {fields[name]}.", "invalid_type", name)
    if given.get("stream"):
        return Failure("stream is true, but a batch has no streams. Leave it out.", "invalid_value", "stream")
    if not 1 <= given.get("n", 1) <= MAX_SAMPLES:
        return Failure(f"n is {given['n']}; it must be from 1 to {MAX_SAMPLES}.", "invalid_value", "n")
    if {"max_tokens", "max_completion_tokens"} <= given.keys():
        return Failure("max_tokens and max_completion_tokens are the same; give one.", "invalid_value", "max_tokens")
    if "max_completion_tokens" in given:
        given["max_tokens"] = given.pop("max_completion_tokens")
    given = {name: value for name, value in defaults.items() if name in fields} | given
    return (_chat if url == CHAT else _completion)(given)


def _has_type(value: Any, wanted: str) -> bool:
    if wanted not in _TYPES:
        return True
    if isinstance(value, bool) or wanted == FLAG:
        return isinstance(value, bool) and wanted == FLAG
    return isinstance(value, _TYPES[wanted]) and (wanted != NUMBER or abs(value) <= sys.float_info.max)


def _chat(fields: dict) -> Call | Failure:
    messages = fields.get("messages")
    if not messages or not all(isinstance(message, dict) for message in messages):
        return Failure("messages must be a list of one or more objects.", "invalid_value", "messages")
    if fields.get("reasoning_effort", "none") != "none":
        message = "K2 has no levels of effort: reasoning_effort is none or absent; think_budget limits thinking."
        return Failure(message, "invalid_value", "reasoning_effort")
    if "top_logprobs" in fields and not fields.get("logprobs"):
        return Failure("top_logprobs needs logprobs to be true.", "invalid_value", "top_logprobs")
    return Call([messages], fields.get("n", 1), chat_options(fields))


def _completion(fields: dict) -> Call | Failure:
    prompt = fields.get("prompt")
    prompts = [prompt] if isinstance(prompt, str) or _is_ids(prompt) else prompt
    if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) or _is_ids(p) for p in prompts):
        return Failure(f"prompt must be {COMPLETION_FIELDS['prompt']}.", "invalid_value", "prompt")
    if fields.get("echo") and "logprobs" in fields:
        return Failure("echo with logprobs is not supported; leave one out.", "invalid_value", "echo")
    return Call(prompts, fields.get("n", 1), completion_options(fields), fields.get("echo", False))


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(i) is int for i in value)
