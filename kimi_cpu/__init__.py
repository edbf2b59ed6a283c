"""Kimi K2 Thinking on CPUs, from one memory-mapped file. See README.md.

Names are bound at first use: importing the package loads neither Numba nor a model.
"""

import importlib

_HOME = {  # public name: the module that defines it
    "ChatCompletion": "llm",
    "Completion": "llm",
    "LLM": "llm",
    "Piece": "llm",
    "Sampling": "engine",
    "Tokenizer": "tokenizer",
    "Usage": "llm",
    "convert": "conversion",
    "errors": "errors",
    "load": "llm",
    "parse_output": "chat",
    "render_chat": "chat",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'kimi_cpu' has no attribute {name!r}")
    module = importlib.import_module(f".{_HOME[name]}", __name__)
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
