"""Between messages and ids: the template, the parser of what comes back, and what steers the generation."""

from .budget import ThinkingBudget
from .parser import Message, OutputParser, parse_output

__all__ = ["Message", "OutputParser", "ThinkingBudget", "parse_output"]
