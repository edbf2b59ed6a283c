"""The public Python API: text in, text out."""

from ..engine import EngineState, Sampling
from .conversation import ChatOptions
from .generation import Generation
from .llm import LLM, load
from .loading import LoadOptions
from .results import ChatCompletion, Completion, Piece, Timings, Usage

__all__ = [
    "LLM",
    "ChatCompletion",
    "ChatOptions",
    "Completion",
    "EngineState",
    "Generation",
    "LoadOptions",
    "Piece",
    "Sampling",
    "Timings",
    "Usage",
    "load",
]
