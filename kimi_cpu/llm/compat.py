"""LLM's methods as llama-cpp-python spells them: OpenAI's parameters in, OpenAI's objects out, in this process."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import openai

if TYPE_CHECKING:
    from .llm import LLM


def create_chat_completion(
    llm: "LLM",
    messages: list[dict],
    *,
    stream: bool = False,
    stream_options: dict | None = None,
    max_tokens: int | None = None,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
    response_format: dict | None = None,
    model: str | None = None,
    **options,
) -> dict | Iterator[dict]:
    """LLM.chat as llama-cpp-python spells it: a chat.completion, or with stream=True an iterator of its chunks.

    options: as for LLM.chat; None is as good as absent, an unknown name is refused. max_tokens below 1 is no limit,
    model is what the answer says it is from. Raises what LLM.chat raises.
    """
    wanted = _given(options) | {"max_tokens": _limit(max_tokens)}
    if logprobs:
        wanted["logprobs"] = top_logprobs or 0
    if response_format is not None:
        wanted["response_format"] = _response_format(response_format)
    name, token_bytes = model or llm.path.stem, llm.tokenizer.token_bytes
    if stream:
        include_usage = bool((stream_options or {}).get("include_usage"))
        return openai.chat_chunks(llm.stream(messages, **wanted), name, token_bytes, include_usage)
    return openai.chat_object(llm.chat(messages, **wanted), name, token_bytes)


def create_completion(
    llm: "LLM",
    prompt: str | list[int],
    *,
    stream: bool = False,
    max_tokens: int | None = openai.COMPLETION_TOKENS,
    echo: bool = False,
    model: str | None = None,
    **options,
) -> dict | Iterator[dict]:
    """LLM.generate as llama-cpp-python spells it: a text_completion, or with stream=True an iterator of such.

    options: as for LLM.generate. max_tokens None or below 1 is no limit; echo repeats the prompt before the answer.
    """
    wanted = _given(options) | {"max_tokens": _limit(max_tokens)}
    name, token_bytes = model or llm.path.stem, llm.tokenizer.token_bytes
    text = "" if not echo else prompt if isinstance(prompt, str) else llm.detokenize(prompt)
    if stream:
        return openai.completion_chunks(llm.stream(prompt, **wanted), name, token_bytes, text)
    return openai.completion_object(llm.generate(prompt, **wanted), name, token_bytes, text)


def _given(options: dict) -> dict:
    return {name: value for name, value in options.items() if value is not None}


def _limit(max_tokens: int | None) -> int | None:
    return None if max_tokens is None or max_tokens < 1 else max_tokens


def _response_format(wanted: dict) -> dict:
    """llama-cpp-python's {"type": "json_object", "schema": …} is OpenAI's json_schema."""
    if wanted.get("type") == "json_object" and "schema" in wanted:
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted["schema"]}}
    return wanted
