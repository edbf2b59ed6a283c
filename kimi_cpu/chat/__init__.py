"""Between messages and ids: the template, the parser of what comes back, and what steers the generation."""

from .budget import ThinkingBudget
from .enforcer import Enforcer
from .parser import Message, OutputParser, parse_output
from .template import encode_chat, render_chat

__all__ = ["Enforcer", "Message", "OutputParser", "ThinkingBudget", "encode_chat", "parse_output", "render_chat"]
