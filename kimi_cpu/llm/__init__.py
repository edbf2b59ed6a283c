"""The public Python API: text in, text out."""

from .conversation import ChatOptions
from .llm import LLM, load
from .results import ChatCompletion, Completion, Piece, Timings, Usage

__all__ = ["LLM", "ChatCompletion", "ChatOptions", "Completion", "Piece", "Timings", "Usage", "load"]
