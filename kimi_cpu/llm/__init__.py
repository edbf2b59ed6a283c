"""The public Python API: text in, text out."""

from ..engine import EngineState, Sampling
from .generation import Generation
from .llm import LLM, load, open_model
from .loading import BUNDLED_MODEL, LoadOptions, bundled_note
from .results import ChatCompletion, Completion, Piece, Timings, Usage
from .turn import ChatOptions

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
    "open_model",
]
