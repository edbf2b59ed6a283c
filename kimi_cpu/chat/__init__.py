"""Between messages and ids: the template of prompts, the parser of answers, and the guides of a generation."""

from .ending import ThinkingBudget
from .enforcer import Enforcer
from .parser import Message, OutputParser, parse_output
from .prompts import PromptEncoder
from .template import encode_chat, render_chat

__all__ = [
    "Enforcer",
    "Message",
    "OutputParser",
    "PromptEncoder",
    "ThinkingBudget",
    "encode_chat",
    "parse_output",
    "render_chat",
]
