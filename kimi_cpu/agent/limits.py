"""Limits of a run: steps, seconds and tokens."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError, shown
from .transcript import Transcript

MAX_STEPS = 300  # unless it is said otherwise
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
TOKENS = {"": 1, "k": 1000, "m": 1_000_000}
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")
COUNT = re.compile(r"(\d[\d_,]*(?:\.\d+)?)\s*([km]?)\s*(?:tokens?)", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """What a run may take. steps: turns of the model. seconds: of the model and of tools, in all processes that the run
    had. tokens: of prompts that were computed, and of answers. None is no limit."""

    steps: int = MAX_STEPS
    seconds: float | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, steps: int, budget: str | Iterable[str] | None) -> "Limits":
        """Limits as a person writes them: "2h", "90m", "200000 tokens", or both of them. ConfigError: another text."""
        if steps < 1:
            raise ConfigError(f"The limit of steps is {steps}; it must be 1 or more.")
        seconds = tokens = None
        for text in (budget,) if isinstance(budget, str) else budget or ():
            if found := TIME.fullmatch(text.strip()):
                seconds = float(found[1]) * SECONDS[found[2]]
            elif found := COUNT.fullmatch(text.strip()):
                tokens = int(float(found[1].replace(",", "").replace("_", "")) * TOKENS[found[2].lower()])
            else:
                raise ConfigError(f'The budget {shown(text)} is neither a time ("2h", "90m") nor "200000 tokens".')
        return cls(steps, seconds, tokens)

    def reached(self, run: Transcript) -> str | None:
        """The limit that a run has reached, in words; None while there is none."""
        if run.num_steps >= self.steps:
            return f"the limit of {self.steps} steps"
        if self.seconds is not None and run.seconds >= self.seconds:
            return f"the budget of {self.seconds:g} s"
        if self.tokens is not None and run.computed_tokens + run.generated_tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens"
        return None
