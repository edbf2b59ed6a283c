"""Conversations and texts made by program, with a fixed seed, and with held-out questions for every task."""

from .example import Example
from .mix import MIXES, held_out, make

__all__ = ["MIXES", "Example", "held_out", "make"]
