"""What steers one answer: the grammar of tools and JSON, and the limit on thinking, as one guide of the engine."""

from collections.abc import Callable

import numpy as np

from ..chat import Enforcer, ThinkingBudget


class ChatGuide:
    """The engine's Guide over an enforcer and a thinking budget, either of which may be missing."""

    def __init__(self, enforcer: Enforcer | None, budget: ThinkingBudget | None, num_logits: int):
        """num_logits: columns of the logits, which may be more than the vocabulary's ids."""
        self._guides = [guide for guide in (budget, enforcer) if guide is not None]
        self._enforcer, self._budget = enforcer, budget
        self._num_logits = num_logits

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what could not be enforced as asked."""
        return () if self._enforcer is None else tuple(self._enforcer.warnings)

    def end_thinking(self, new_budget: Callable[[], ThinkingBudget]) -> None:
        """Closes the thinking with the next token. new_budget: makes one that has seen all tokens, if there is none."""
        if self._budget is None:
            self._budget = new_budget()
            self._guides.insert(0, self._budget)
        self._budget.end()

    def forced(self) -> int | None:
        """The id that must come next, or None."""
        return next((i for i in (guide.forced() for guide in self._guides) if i is not None), None)

    def mask(self) -> np.ndarray | None:
        """bool[num_logits] of the ids that may come next, or None when all may."""
        mask = next((m for m in (guide.mask() for guide in self._guides) if m is not None), None)
        if mask is None or len(mask) == self._num_logits:
            return mask
        out = np.zeros(self._num_logits, bool)
        out[: len(mask)] = mask[: self._num_logits]
        return out

    def accept(self, token_id: int) -> None:
        """A token was generated."""
        for guide in self._guides:
            guide.accept(token_id)
