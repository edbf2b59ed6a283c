"""The keywords of a request in Python: their types, and the checked values that are made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict, TypeGuard, cast

from ..chat.messages import well_formed
from ..chat.tools import chosen_tools
from ..config.field import Door
from ..config.parameters import answer_schema, read, think_keywords
from ..engine import Sampling
from ..errors import ContextOverflow, ModelFileError, RequestError
from ..modelfile import ModelFile

Prompt = str | Sequence[int]  # raw: a text, or ids
Messages = Sequence[Mapping[str, Any]]  # OpenAI's
Tools = Sequence[Mapping[str, Any]]  # OpenAI's definitions of functions

GENERATION_CONFIG = "kimi-cpu.generation_config"  # metadata of a model file
FROM_FILE = ("temperature", "repetition_detection")  # of the generation_config.json
SAMPLING = "sampling"  # the keyword of a whole Sampling


class SamplingKeywords(TypedDict, total=False):
    """Keywords of LLM.generate, and of the other methods with a raw prompt: they say how tokens are drawn.

    They are the fields of Sampling, which explains them, with two other names of max_tokens and one of repeat_penalty.
    sampling: a whole Sampling, which the others change. None is as good as absent.
    """

    sampling: Sampling | None
    max_tokens: int | None
    max_completion_tokens: int | None
    n_predict: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repeat_penalty: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    logprobs: int | None
    seed: int | None
    stop: str | list[str] | tuple[str, ...] | None
    ignore_eos: bool | None
    repetition_detection: bool | Mapping[str, int] | None


class ChatKeywords(SamplingKeywords, total=False):
    """Keywords of LLM.chat, and of the other methods with messages: how the answer is drawn, how long the model may
    think before it, and its form.

    The names are those of kimi-cpu's HTTP API (docs/server.md). None is as good as absent.
    """

    no_think: bool | None
    think_budget: int | None
    think_seconds: float | None
    reasoning_effort: str | None
    thinking: Mapping[str, Any] | None
    reasoning: Mapping[str, Any] | None
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    response_format: Mapping[str, Any] | None
    template_kwargs: Mapping[str, Any] | None
    chat_template_kwargs: Mapping[str, Any] | None
    heavy: int | None


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """The wishes of a chat request besides sampling. tools, tool_choice, response_format as in OpenAI's API.

    no_think: close the thinking block at once; think_budget: tokens of thinking, after which it is wrapped up;
    think_seconds: the same in seconds. template_kwargs: further variables of the chat template. parallel_tool_calls: a
    turn may make more than one call. heavy: trajectories side by side, on whose outcomes the model then reflects.
    RequestError: a tool_choice or a response_format that cannot be met.
    """

    tools: Tools | None = None
    tool_choice: str | Mapping[str, Any] = "auto"
    response_format: Mapping[str, Any] | None = None
    no_think: bool = False
    think_budget: int | None = None
    think_seconds: float | None = None
    template_kwargs: Mapping[str, Any] | None = None
    parallel_tool_calls: bool = True
    heavy: int = 1

    def __post_init__(self) -> None:
        chosen_tools(self.tools, self.tool_choice)
        answer_schema(self.response_format)


def raw_parameters(keywords: Mapping[str, Any]) -> Sampling:
    """The sampling that the keywords of a raw prompt ask for. RequestError: one is unknown, or its value cannot be."""
    return _sampling(read(well_formed(keywords), Door.PYTHON_RAW, others=(SAMPLING,)))


def chat_parameters(keywords: Mapping[str, Any]) -> tuple[ChatOptions, Sampling]:
    """The options and the sampling that the keywords of a chat, tools among them, ask for. RequestError: as above."""
    given = think_keywords(read(well_formed(keywords), Door.PYTHON_CHAT, others=(SAMPLING,)))
    names = {f.name for f in fields(ChatOptions)}
    options = ChatOptions(**{k: v for k, v in given.items() if k in names})
    return options, _sampling({k: v for k, v in given.items() if k not in names})


def _sampling(given: dict[str, Any]) -> Sampling:
    base = given.pop(SAMPLING, None) or Sampling()
    return replace(base, **given)


def file_defaults(file: ModelFile) -> dict[str, Any]:
    """temperature and repetition_detection of a request that leaves them open: those of the generation_config.json in
    the file that it has, mostly none. ModelFileError."""
    try:
        config: object = json.loads(file.metadata.get(GENERATION_CONFIG, "{}"))
    except (ValueError, RecursionError):
        return {}  # the rest of it is for other programs
    found = cast("dict[str, Any]", config) if isinstance(config, dict) else {}
    given = {name: found[name] for name in FROM_FILE if found.get(name) is not None}
    try:
        Sampling(**given)
    except RequestError as e:
        raise ModelFileError(f"{file.path}: metadata {GENERATION_CONFIG}: {e} Convert it again.") from e
    return given


def is_messages(prompt: object) -> TypeGuard[Messages]:
    """Whether a prompt is a chat's, and not a text or ids."""
    items = cast("Sequence[object]", prompt) if isinstance(prompt, Sequence) else ()
    return len(items) > 0 and isinstance(items[0], Mapping)


def room_for(num_tokens: int, context: int, max_tokens: int | None) -> int:
    """Tokens that may be generated after a prompt of num_tokens, at most max_tokens. ContextOverflow."""
    room = context - num_tokens
    if room < 0 or (room == 0 and max_tokens != 0):
        left = "" if room else ", which leaves none for the answer"
        raise ContextOverflow(  # OpenAI's words, by which agents know that they must shorten their story
            f"This model's maximum context length is {context} tokens; the prompt has {num_tokens}{left}. "
            "Shorten the prompt or load the model with a larger context.",
            num_tokens=num_tokens,
            most=context if room else context - 1,
        )
    return room if max_tokens is None else min(room, max_tokens)
