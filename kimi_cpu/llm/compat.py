"""LLM's methods as llama-cpp-python spells them: OpenAI's parameters in, OpenAI's objects out, in this process."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..config.field import Door, is_ids
from ..config.fields import COMPLETION_TOKENS
from ..config.parameters import chat_options, completion_options, read
from ..errors import RequestError
from . import openai

if TYPE_CHECKING:
    from .llm import LLM

OURS = ("session", "progress", "resume")  # keywords of LLM.chat and LLM.stream that are no fields of a request


def create_chat_completion(
    llm: "LLM", messages: list[dict], *, max_tokens: int | None = None, model: str | None = None, **fields
) -> dict | Iterator[dict]:
    """LLM.chat as llama-cpp-python spells it: a chat.completion, or with stream=True an iterator of its chunks.

    fields: those of /v1/chat/completions, and the other keywords of LLM.chat; None is as good as absent, an unknown
    name is refused. max_tokens below 1 is no limit, model is what the answer says it is from. Raises what LLM.chat
    raises.
    """
    limit = None if max_tokens is None else _limit(max_tokens)
    given = _read({"messages": messages, "max_tokens": limit, **fields}, Door.CHAT)
    options, name, token_bytes = chat_options(given), model or llm.path.stem, llm.tokenizer.token_bytes
    if given.get("stream"):
        include_usage = given.get("stream_options", {}).get("include_usage", False)
        return openai.chat_chunks(llm.stream(messages, **options), name, token_bytes, include_usage)
    return openai.chat_object(llm.chat(messages, **options), name, token_bytes)


def create_completion(
    llm: "LLM",
    prompt: str | list[int],
    *,
    max_tokens: int | None = COMPLETION_TOKENS,
    echo: bool = False,
    model: str | None = None,
    **fields,
) -> dict | Iterator[dict]:
    """LLM.generate as llama-cpp-python spells it: a text_completion, or with stream=True an iterator of such.

    fields: those of /v1/completions, and the other keywords of LLM.generate. max_tokens None or below 1 is no limit;
    echo repeats the prompt before the answer.
    """
    given = _read({"max_tokens": -1 if max_tokens is None else _limit(max_tokens), **fields}, Door.COMPLETIONS)
    options, name, token_bytes = completion_options(given), model or llm.path.stem, llm.tokenizer.token_bytes
    text = "" if not echo else llm.detokenize(prompt) if is_ids(prompt) else prompt
    if given.get("stream"):
        return openai.completion_chunks(llm.stream(prompt, **options), name, token_bytes, text)
    return openai.completion_object(llm.generate(prompt, **options), name, token_bytes, text)


def _read(fields: dict, door: Door) -> dict:
    """RequestError: what only a server can tell is asked for."""
    given = read(fields, door, others=OURS)
    for name, default in (("n", 1), ("return_progress", False)):
        if given.get(name, default) != default:
            raise RequestError(f"{name} is {given[name]}; in Python, LLM.samples and LLM.stream have it.", name)
    return given


def _limit(max_tokens: int) -> int:
    """-1 is no limit."""
    return -1 if isinstance(max_tokens, int) and max_tokens < 1 else max_tokens
