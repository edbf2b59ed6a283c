"""The wishes that steer an answer of a chat, as plain values of which its guide is made, here or beside another
engine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..chat import Enforcer, ThinkingBudget
from ..engine import Request
from .parameters import Tools
from .reading import ChatGuide
from .vocabulary import Vocabulary

THINK, THINK_END = "<think>", "</think>"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """tools, tool_choice, response_format, parallel_tool_calls, no_think, think_budget, think_seconds: see ChatOptions.
    thinking: generation begins inside <think>. num_calls: calls over the conversation so far."""

    tools: Tools | None
    tool_choice: str | Mapping[str, Any]
    response_format: Mapping[str, Any] | None
    parallel_tool_calls: bool
    no_think: bool
    think_budget: int | None
    think_seconds: float | None
    thinking: bool
    num_calls: int

    def as_dict(self) -> dict[str, Any]:
        """Its fields, of which Wishes(**fields) is an equal one."""
        return asdict(self)


@dataclass(frozen=True)
class ChatSteering:
    """The engine's Steering over the wishes of a chat."""

    wishes: Wishes
    vocabulary: Vocabulary

    def guide(self, max_tokens: int) -> ChatGuide | None:
        """Steers an answer of at most max_tokens: tools, the form of the answer, the limit on thinking. None when
        nothing does. RequestError: a schema or a choice that cannot be enforced."""
        w, tokenizer, enforcer, budget = self.wishes, self.vocabulary.require_tokenizer(), None, None
        if w.tools or w.response_format:
            enforcer = Enforcer(
                tokenizer,
                w.tools,
                w.tool_choice,
                w.response_format,
                thinking=w.thinking,
                next_index=w.num_calls,
                max_tokens=max_tokens,
                parallel_tool_calls=w.parallel_tool_calls,
                end_ids=self.vocabulary.stop_ids,
            )
        if w.no_think or w.think_budget is not None or w.think_seconds is not None:
            budget = ThinkingBudget(
                tokenizer, w.think_budget, w.think_seconds, thinking=w.thinking, no_think=w.no_think
            )
        return ChatGuide(enforcer, budget, self.vocabulary.size) if enforcer or budget else None

    def end_thinking(self, request: Request) -> None:
        """See engine.Steering."""
        if not {THINK, THINK_END} <= self.vocabulary.require_tokenizer().special_tokens.keys():
            return
        if request.guide is None:
            request.guide = ChatGuide(None, None, self.vocabulary.size)
        assert isinstance(request.guide, ChatGuide)
        request.guide.end_thinking(lambda: self._budget_after(request.output_ids))

    def _budget_after(self, output_ids: list[int]) -> ThinkingBudget:
        budget = ThinkingBudget(self.vocabulary.require_tokenizer(), thinking=self.wishes.thinking)
        for token_id in output_ids:
            budget.accept(token_id)
        return budget
