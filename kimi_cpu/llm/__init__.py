"""The public Python API: text in, text out."""

from ..engine import EngineState, Sampling, TokenLogprob
from ..residency import ExpertsState
from .conversation import Conversation, Session, check_conversation, is_kept
from .generation import Generation
from .llm import LLM
from .loading import BUNDLED_MODEL, bundled_note
from .opening import load, open_model
from .options import LoadKeywords, LoadOptions
from .parameters import ChatKeywords, ChatOptions, SamplingKeywords
from .results import ChatCompletion, Completion, HeavyReport, Piece, Timings, Trajectory, Usage
from .text_model import TextModel

__all__ = [
    "BUNDLED_MODEL",
    "LLM",
    "ChatCompletion",
    "ChatKeywords",
    "ChatOptions",
    "Completion",
    "Conversation",
    "EngineState",
    "ExpertsState",
    "Generation",
    "HeavyReport",
    "LoadKeywords",
    "LoadOptions",
    "Piece",
    "Sampling",
    "SamplingKeywords",
    "Session",
    "TextModel",
    "Timings",
    "TokenLogprob",
    "Trajectory",
    "Usage",
    "bundled_note",
    "check_conversation",
    "is_kept",
    "load",
    "open_model",
]
