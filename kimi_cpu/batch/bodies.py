"""Bodies of OpenAI's requests, checked as the server checks them, as what LLM.submit and LLM.samples take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config.field import Door, is_ids
from ..config.parameters import chat_options, completion_options, read
from ..errors import RequestError
from .source import CHAT


@dataclass(frozen=True)
class Call:
    """What is asked of the model: n answers to each prompt, which is messages, a text or ids. echo: OpenAI's."""

    prompts: list
    n: int
    options: dict
    echo: bool = False


def read_body(url: str, body: Mapping[str, Any], defaults: Mapping[str, Any]) -> Call:
    """What a body asks for. defaults: fields that it has where it does not name them. RequestError names the field."""
    given = read(body, Door.CHAT if url == CHAT else Door.COMPLETIONS, defaults)
    if given.get("stream"):
        raise RequestError("stream is true, but a batch has no streams. Leave it out.", "stream", "invalid_value")
    return (_chat if url == CHAT else _completion)(given)


def _chat(given: dict) -> Call:
    return Call([_required(given, "messages")], given.get("n", 1), chat_options(given))


def _completion(given: dict) -> Call:
    prompt = _required(given, "prompt")
    prompts = [prompt] if isinstance(prompt, str) or is_ids(prompt) else prompt
    return Call(prompts, given.get("n", 1), completion_options(given), given.get("echo", False))


def _required(given: dict, name: str) -> Any:
    if name not in given:
        raise RequestError(f"{name} is missing.", name, "missing_required_parameter")
    return given[name]
