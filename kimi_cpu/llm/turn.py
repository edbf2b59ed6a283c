"""A turn, ready for the engine: a raw prompt or the next turn of a chat, and how its answers are steered and read."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Generic

import numpy as np

from ..chat import OutputParser
from ..chat.messages import normalise_messages
from ..chat.parser import SECTION_BEGIN
from ..config.fields import NUM_SEEDS
from ..config.parameters import answer_schema
from ..engine import Guide, Sampling
from ..errors import RequestError, shown
from .parameters import ChatOptions, Messages
from .reading import ChatGuide, ChatReader, RawReader
from .results import Answer, ChatCompletion, Completion, JsonObject, Piece, chat_completion, completion
from .steering import THINK, THINK_END, ChatSteering, Wishes
from .vocabulary import Vocabulary

PARTIAL = ("partial", "prefix")
NEVER = -100.0  # logit bias
MAX_TAIL = 64  # new tokens of a turn that attend without rebuilding keys and values of all that stands before them


class Turn(ABC, Generic[Answer]):
    """A prompt, the sampling of its answers, and how each of them is steered and read."""

    prompt_ids: np.ndarray  # i32[n], which nobody changes
    params: Sampling
    num_new = 1  # tokens at the prompt's end, 1 or more, before which all is likely to be in the cache
    heavy = 1  # trajectories
    steering: ChatSteering | None = None

    def guide(self, max_tokens: int) -> ChatGuide | None:
        """Steers an answer of at most max_tokens; None when nothing does. RequestError."""
        return None if self.steering is None else self.steering.guide(max_tokens)

    @abstractmethod
    def reader(self, guide: Guide | None) -> RawReader | ChatReader:
        """Reads the answer that a guide steers."""

    @abstractmethod
    def answer(self, pieces: Sequence[Piece]) -> Answer:
        """The answer that its pieces, from the first to the last, add up to."""


class RawTurn(Turn[Completion]):
    """A raw prompt to be gone on with."""

    def __init__(self, prompt: str | Iterable[int], params: Sampling, vocabulary: Vocabulary):
        """RequestError, TokenizerError."""
        self.params, self._vocabulary = params, vocabulary
        if params.stop:
            vocabulary.require_tokenizer()
        self.prompt_ids = vocabulary.ids(prompt)

    def reader(self, guide: Guide | None) -> RawReader:
        """Reads the answer; the end token is shown only where it does not end it."""
        params, silent = self.params, self._vocabulary.stop_ids
        return RawReader(
            self._vocabulary.tokenizer,
            stop_texts(params),
            frozenset() if params.ignore_eos else silent,
            params.logprobs is not None,
        )

    def answer(self, pieces: Sequence[Piece]) -> Completion:
        return completion(pieces)


class ChatTurn(Turn[ChatCompletion]):
    """The next turn of a chat.

    A last message of the assistant with `"partial": True` (Moonshot's word; DeepSeek's is prefix) is the beginning of
    the turn, which goes on from there.
    """

    def __init__(self, messages: Messages, options: ChatOptions, params: Sampling, vocabulary: Vocabulary):
        """RequestError, TemplateError, TokenizerError."""
        if isinstance(messages, str):
            raise RequestError("messages is a text; give a list of messages, or use generate for raw prompts.")
        self.params, self._options, self._vocabulary = params, options, vocabulary
        self.heavy = options.heavy
        self._tokenizer = vocabulary.require_tokenizer()
        self._can_think = {THINK, THINK_END} <= self._tokenizer.special_tokens.keys()
        self._tools = None if options.tool_choice == "none" else options.tools
        if isinstance(messages, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            messages = list(messages)
        self._messages, given = vocabulary.prompts.normalise(messages)
        is_opened = self._has_partial(messages)
        self._opening = self._messages.pop() if is_opened else None
        if is_opened and self.heavy > 1:
            raise RequestError("heavy begins answers, and cannot go on with a partial message; give one of the two.")
        self.prompt_ids = vocabulary.prompts.encode(self._messages, self._tools, options.template_kwargs, given)
        self.thinking = self._begins_inside_think()
        if self._opening is not None:
            opening = np.asarray(self._opening_ids(self._opening), np.int32)
            self.prompt_ids = np.concatenate((self.prompt_ids, opening))
            self.thinking = self._begins_inside_think()
        self.num_new = self._num_new()
        self._num_calls = sum(len(m.get("tool_calls") or ()) for m in self._messages)
        self.steering = ChatSteering(self._wishes(), vocabulary)

    def reader(self, guide: Guide | None) -> ChatReader:
        parser = OutputParser(self._tokenizer, self._tools or (), self.thinking)
        return ChatReader(self._tokenizer, parser, stop_texts(self.params), guide, self.params.logprobs is not None)

    def answer(self, pieces: Sequence[Piece]) -> ChatCompletion:
        return chat_completion(pieces)

    def reflecting(self, message: str) -> "ChatTurn":
        """The turn behind one more message of the user, which calls no tool. Tools stay declared: without them the
        whole prompt would be another one, and computed anew."""
        params, section = self.params, self._tokenizer.special_tokens.get(SECTION_BEGIN)
        if self._tools and section is not None:
            params = replace(params, logit_bias=dict(params.logit_bias or {}) | {section: NEVER})
        if params.seed is not None:
            params = replace(params, seed=(params.seed + self.heavy) % NUM_SEEDS)
        options = replace(self._options, heavy=1, tool_choice="auto" if self._tools else "none")
        return ChatTurn([*self._messages, {"role": "user", "content": message}], options, params, self._vocabulary)

    def following(self, turn: JsonObject) -> np.ndarray:
        """Ids with which the prompt after this turn will begin, whatever comes: an answer, or the tools' results.

        The template may leave out reasoning then that it shows now. TemplateError, RequestError as for any prompt.
        """
        if self._opening is not None:
            turn = turn | {"content": self._opening["content"] + (turn["content"] or "")}
        calls = turn.get("tool_calls")
        message = {"role": "tool", "tool_call_id": calls[0]["id"]} if calls else {"role": "user"}
        turn, message = normalise_messages([turn, message | {"content": ""}], num_calls=self._num_calls)
        messages = [*self._messages, turn, message]
        return self._vocabulary.prompts.encode_beginning(messages, self._tools, self._options.template_kwargs)

    def _wishes(self) -> Wishes:
        o = self._options
        return Wishes(
            tools=o.tools,
            tool_choice=o.tool_choice,
            response_format=o.response_format,
            parallel_tool_calls=o.parallel_tool_calls,
            no_think=o.no_think and (self.thinking or self._opening is None),  # an opening may be past its thinking
            think_budget=o.think_budget,
            think_seconds=o.think_seconds,
            thinking=self.thinking,
            num_calls=self._num_calls,
        )

    def _num_new(self) -> int:
        """Tokens at the prompt's end that answer the last turn: the messages of user or tools after it or after the
        system's, and the header of the turn to come. 1 when they are more than MAX_TAIL, or nothing ends before
        them."""
        last = takewhile(lambda m: m.get("role") in ("user", "tool"), reversed(self._messages))
        ends_left = sum(1 for _ in last) + 1
        for count, token_id in enumerate(reversed(self.prompt_ids[-MAX_TAIL - 1 :].tolist())):
            ends_left -= token_id in self._vocabulary.stop_ids
            if not ends_left:
                return max(count, 1)
        return 1

    def _has_partial(self, messages: Messages) -> bool:
        """Whether the last message is the beginning of the turn. RequestError: one is elsewhere, or more than text."""
        for i, message in enumerate(messages):
            said = [key for key in PARTIAL if message.get(key)]
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

    def _opening_ids(self, opening: JsonObject) -> list[int]:
        """Ids of a turn's beginning: of its reasoning, which stays open when no content follows, and its content."""
        names, content = self._tokenizer.special_tokens, self._tokenizer.encode(opening["content"], special=False)
        reasoning = opening.get("reasoning_content") or ""
        if not self._can_think:
            return content
        ids = [] if self.thinking else [names[THINK]]
        ids += self._tokenizer.encode(reasoning, special=False)
        return [*ids, names[THINK_END], *content] if content or not reasoning else ids

    def _begins_inside_think(self) -> bool:
        """Whether the last thinking mark of the prompt opens a block."""
        names = self._tokenizer.special_tokens
        marks = [names[name] for name in (THINK, THINK_END) if name in names]
        places = np.flatnonzero(np.isin(self.prompt_ids, marks))
        return bool(len(places)) and int(self.prompt_ids[places[-1]]) == names.get(THINK)


def stop_texts(params: Sampling) -> tuple[str, ...]:
    """The texts that end an answer."""
    return (params.stop,) if isinstance(params.stop, str) else params.stop
