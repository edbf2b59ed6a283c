"""The public Python API: text in, text out."""

from ..engine import EngineState, Sampling
from .bundled import BUNDLED_MODEL, bundled_note
from .conversation import ChatOptions
from .generation import Generation
from .llm import LLM, load
from .loading import LoadOptions
from .results import ChatCompletion, Completion, Piece, Timings, Usage

__all__ = [
    "BUNDLED_MODEL",
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
    "bundled_note",
    "load",
]
