"""Kimi K2 Thinking on CPUs, from one memory-mapped file. See README.md.

Names are bound at first use: importing the package loads neither Numba nor a model.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import agent, errors
    from .chat import Message, parse_output, render_chat
    from .config import ModelConfig
    from .conversion import convert
    from .llm import (
        LLM,
        ChatCompletion,
        ChatKeywords,
        ChatOptions,
        Completion,
        Conversation,
        EngineState,
        ExpertsState,
        Generation,
        LoadKeywords,
        LoadOptions,
        Piece,
        Sampling,
        SamplingKeywords,
        Session,
        Timings,
        TokenLogprob,
        Usage,
        load,
    )
    from .plan import Needs
    from .tokenizer import Tokenizer

__all__ = [
    "ChatCompletion",
    "ChatKeywords",
    "ChatOptions",
    "Completion",
    "Conversation",
    "EngineState",
    "ExpertsState",
    "Generation",
    "LLM",
    "LoadKeywords",
    "LoadOptions",
    "Message",
    "ModelConfig",
    "Needs",
    "Piece",
    "Sampling",
    "SamplingKeywords",
    "Session",
    "Timings",
    "TokenLogprob",
    "Tokenizer",
    "Usage",
    "agent",
    "convert",
    "errors",
    "load",
    "parse_output",
    "render_chat",
]

_ROOMS = ("agent", "errors")  # public as modules
_ELSEWHERE = {  # public name: its home, where that is not llm
    "Message": "chat",
    "ModelConfig": "config",
    "Needs": "plan",
    "Tokenizer": "tokenizer",
    "convert": "conversion",
    "parse_output": "chat",
    "render_chat": "chat",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kimi_cpu' has no attribute {name!r}")
    if name in _ROOMS:
        value = importlib.import_module(f".{name}", __name__)
    else:
        value = getattr(importlib.import_module(f".{_ELSEWHERE.get(name, 'llm')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
