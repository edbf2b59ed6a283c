"""Agents: a model that works on a task with tools, step by step, and loses nothing when it is stopped."""

from .agent import Agent, Outcome
from .builtin import calculator, get_date
from .limits import MAX_STEPS
from .tool import Tool, tool
from .transcript import Call
from .watch import Reply, Watch

__all__ = ["MAX_STEPS", "Agent", "Call", "Outcome", "Reply", "Tool", "Watch", "calculator", "get_date", "tool"]
