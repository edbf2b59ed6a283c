"""The public Python API: text in, text out."""

from .llm import LLM, load
from .results import Completion, Piece, Timings, Usage

__all__ = ["LLM", "Completion", "Piece", "Timings", "Usage", "load"]
