"""A chat request: what the template, the parser and the guides make of messages and options."""

import os.path
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ..chat import Enforcer, OutputParser, ThinkingBudget, encode_chat
from ..chat.messages import normalise_messages
from ..chat.tools import chosen_tools
from ..config.parameters import answer_schema
from ..engine import Request, Sampling
from ..errors import RequestError, shown
from ..tokenizer import Tokenizer
from .reading import ChatGuide, ChatReader

PARTIAL = ("partial", "prefix")
THINK, THINK_END = "<think>", "</think>"


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """What a chat request may ask for besides sampling. tools, tool_choice, response_format as in OpenAI's API.

    no_think: close the thinking block at once; think_budget: tokens of thinking, after which it is wrapped up;
    think_seconds: the same in seconds. template_kwargs: further variables of the chat template. parallel_tool_calls: a
    turn may make more than one call. RequestError: a tool_choice or a response_format that cannot be met.
    """

    tools: list[dict] | None = None
    tool_choice: str | dict = "auto"
    response_format: dict | None = None
    no_think: bool = False
    think_budget: int | None = None
    think_seconds: float | None = None
    template_kwargs: dict[str, Any] | None = None
    parallel_tool_calls: bool = True

    def __post_init__(self):
        chosen_tools(self.tools, self.tool_choice)
        answer_schema(self.response_format)


class ChatTurn:
    """One turn to be generated: prompt_ids, and the parser and guide for what follows them.

    A last message of the assistant with `"partial": True` (Moonshot's word; DeepSeek's is prefix) is the beginning of
    the turn, which goes on from there.
    """

    def __init__(self, messages: list[dict], options: ChatOptions, tokenizer: Tokenizer, template: str | None):
        if isinstance(messages, str):
            raise RequestError("messages is a text; give a list of messages, or use generate for raw prompts.")
        self._options, self._tokenizer, self._template = options, tokenizer, template
        self._tools = None if options.tool_choice == "none" else options.tools
        messages = list(messages) if isinstance(messages, Iterable) else messages
        self._messages = normalise_messages(messages)
        is_opened = self._has_partial(messages)
        self._opening = self._messages.pop() if is_opened else None
        self.prompt_ids = self._encode(self._messages)
        self.thinking = self._begins_inside_think()
        if self._opening is not None:
            self.prompt_ids += self._opening_ids(self._opening)
            self.thinking = self._begins_inside_think()

    def reader(self, params: Sampling, guide: ChatGuide | None) -> ChatReader:
        """What reads the answer that a guide steers."""
        parser = OutputParser(self._tokenizer, self._tools or (), self.thinking)
        return ChatReader(self._tokenizer, parser, params.stop, guide, params.logprobs is not None)

    def guide(self, max_tokens: int, num_logits: int, stop_ids: frozenset[int] = frozenset()) -> ChatGuide | None:
        """What steers the answer; None when nothing does. stop_ids: those at which the engine ends it."""
        o, enforcer, budget = self._options, None, None
        if o.tools or o.response_format:
            enforcer = Enforcer(
                self._tokenizer,
                o.tools,
                o.tool_choice,
                o.response_format,
                thinking=self.thinking,
                next_index=sum(len(m.get("tool_calls") or ()) for m in self._messages),
                max_tokens=max_tokens,
                parallel_tool_calls=o.parallel_tool_calls,
                end_ids=stop_ids,
            )
        no_think = o.no_think and (self.thinking or self._opening is None)  # an opening may be past its thinking
        if no_think or o.think_budget is not None or o.think_seconds is not None:
            budget = ThinkingBudget(
                self._tokenizer, o.think_budget, o.think_seconds, thinking=self.thinking, no_think=no_think
            )
        return ChatGuide(enforcer, budget, num_logits) if enforcer or budget else None

    def num_new(self, stop_ids: frozenset[int], most: int) -> int:
        """Tokens at the prompt's end that answer the last turn: the messages of user or tools after it or after the
        system's, and the header of the turn to come. 1 when they are more than `most`, or nothing ends before them."""
        last = takewhile(lambda m: m.get("role") in ("user", "tool"), reversed(self._messages))
        ends_left = sum(1 for _ in last) + 1
        for count, token_id in enumerate(reversed(self.prompt_ids[-most - 1 :])):
            ends_left -= token_id in stop_ids
            if not ends_left:
                return max(count, 1)
        return 1

    def following(self, turn: dict) -> list[int]:
        """Ids with which the prompt after this turn will begin, whatever comes: an answer, or the tools' results.

        The template may leave out reasoning then that it shows now. TemplateError, RequestError as for any prompt.
        """
        if self._opening is not None:
            turn = turn | {"content": self._opening["content"] + (turn["content"] or "")}
        calls = turn.get("tool_calls")
        message = {"role": "tool", "tool_call_id": calls[0]["id"]} if calls else {"role": "user"}
        first, second = (self._encode([*self._messages, turn, message | {"content": text}]) for text in ("a", "1"))
        return os.path.commonprefix([first, second])

    def _has_partial(self, messages: list[dict]) -> bool:
        """Whether the last message is the beginning of the turn. RequestError: one is elsewhere, or more than text."""
        for i, message in enumerate(messages):
            said = [key for key in PARTIAL if isinstance(message, Mapping) and message.get(key)]
            if not said:
                continue
            where = f"messages[{i}].{said[0]}"
            if message[said[0]] is not True:
                raise RequestError(f"{where} is {shown(message[said[0]])}; it must be true or false.")
            if i < len(messages) - 1 or message.get("role") != "assistant":
                raise RequestError(f"{where} is set; only the assistant's message at the end can be partial.")
            if message.get("tool_calls") or message.get("function_call") or message.get("name"):
                raise RequestError(f"{where} is set, but the message has tool_calls or a name.")
            if answer_schema(self._options.response_format) is not None:
                raise RequestError(f"{where} is set; response_format must say all of the answer. Give one.")
            return True
        return False

    def _opening_ids(self, opening: dict) -> list[int]:
        """Ids of a turn's beginning: of its reasoning, which stays open when no content follows, and its content."""
        names, content = self._tokenizer.special_tokens, self._tokenizer.encode(opening["content"], special=False)
        reasoning = opening.get("reasoning_content") or ""
        if not self.can_think:
            return content
        ids = [] if self.thinking else [names[THINK]]
        ids += self._tokenizer.encode(reasoning, special=False)
        return [*ids, names[THINK_END], *content] if content or not reasoning else ids

    def _encode(self, messages: list[dict]) -> list[int]:
        kwargs = self._options.template_kwargs
        return encode_chat(messages, self._tokenizer, self._tools, template=self._template, template_kwargs=kwargs)

    def end_thinking(self, request: Request, num_logits: int) -> None:
        """Lets an answer's thinking end with its next token. On the engine's thread."""
        if request.guide is None:
            request.guide = ChatGuide(None, None, num_logits)
        request.guide.end_thinking(lambda: self._budget_after(request.output_ids))

    @property
    def can_think(self) -> bool:
        """Whether the vocabulary has the marks of thinking."""
        return {THINK, THINK_END} <= self._tokenizer.special_tokens.keys()

    def _budget_after(self, output_ids: list[int]) -> ThinkingBudget:
        budget = ThinkingBudget(self._tokenizer, thinking=self.thinking)
        for token_id in output_ids:
            budget.accept(token_id)
        return budget

    def _begins_inside_think(self) -> bool:
        """Whether the last thinking mark of the prompt opens a block."""
        names = self._tokenizer.special_tokens
        marks = {names.get(THINK): True, names.get(THINK_END): False}
        return next((marks[i] for i in reversed(self.prompt_ids) if i in marks), False)
