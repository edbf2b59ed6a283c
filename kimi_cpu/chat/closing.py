"""The short way out of a half-written JSON text, so that one always ends before the tokens do."""

from typing import NamedTuple

import numpy as np
from llguidance import LLMatcher

from ..errors import AnswerError
from .grammar import NUMERIC, JsonGrammar, Vocabulary

OPEN, CLOSE, QUOTE, BACKSLASH, COMMA, POINT = b"{[", b"}]", ord('"'), ord("\\"), ord(","), ord(".")
# What is tried first where a value, a separator or an end may stand: ends, then what leads to one soonest. A digit 0
# comes last, for it may go on for ever (0.000...) where a number must exceed 0.
PREFERRED = b"}],:nft123456789" + b'0"-.[{'
MAX_PLAN = 1024  # tokens; a text that cannot be closed in so many is left to the sampler
MAX_TRIES = 2048  # names and texts that are tried for one plan


class JsonState:
    """Where in a JSON text its bytes end: in a string or not, how deep, how far into a number or a fraction."""

    def __init__(self):
        self.stack = bytearray()
        self.in_string = self.escaped = False
        self.number_bytes = 0
        self.in_fraction = False
        self.last = 0  # last byte outside strings and spaces

    def copy(self) -> "JsonState":
        """An independent one."""
        other = JsonState.__new__(JsonState)
        other.__dict__ = {**self.__dict__, "stack": self.stack[:]}
        return other

    @property
    def at_key(self) -> bool:
        """Whether a member's name, or the end of an empty object, comes next."""
        return not self.in_string and self.stack[-1:] == b"{" and self.last in (OPEN[0], COMMA)

    def feed(self, data: bytes) -> None:
        """Bytes were written."""
        for byte in data:
            if self.in_string:
                if self.escaped:
                    self.escaped = False
                elif byte == BACKSLASH:
                    self.escaped = True
                elif byte == QUOTE:
                    self.in_string, self.last = False, QUOTE
                continue
            self.number_bytes = self.number_bytes + 1 if byte in NUMERIC else 0
            self.in_fraction = self.number_bytes > 0 and (self.in_fraction or byte == POINT)
            if byte == QUOTE:
                self.in_string = True
            elif byte in OPEN:
                self.stack.append(byte)
            elif byte in CLOSE:
                self.stack[-1:] = b""
            if byte != ord(" "):
                self.last = byte


class WayOut(NamedTuple):
    """tokens: None where no end was found; num_steps: masks and tries that it took to look, each up to 0.3 ms."""

    tokens: list[int] | None
    num_steps: int


def way_out(vocabulary: Vocabulary, grammar: JsonGrammar, matcher: LLMatcher, state: JsonState, token_bytes) -> WayOut:
    """Tokens that end the text from here, few but not always the fewest."""
    matcher, state = matcher.deep_copy(), state.copy()
    plan: list[int] = []
    choice = _Choice(vocabulary, grammar, matcher, state)
    try:
        while not matcher.is_accepting():
            step = choice.next_tokens()
            if not step or len(plan) + len(step) > MAX_PLAN or not matcher.consume_tokens(step):
                return WayOut(None, choice.num_steps)
            for token_id in step:
                state.feed(token_bytes(token_id))
            plan += step
    except AnswerError:  # too complex: the plan's text, and perhaps no other
        return WayOut(None, choice.num_steps)
    return WayOut(plan, choice.num_steps)


class _Choice:
    """What leads to the end soonest, step by step. The matcher and the state are the caller's, who moves them on."""

    def __init__(self, vocabulary: Vocabulary, grammar: JsonGrammar, matcher: LLMatcher, state: JsonState):
        self._vocabulary, self._matcher, self._state = vocabulary, matcher, state
        self._names, self._texts = grammar.names, grammar.texts
        self._next_name = 0
        self._tries_left = MAX_TRIES
        self._num_masks = 0

    @property
    def num_steps(self) -> int:
        """What it has cost so far, a try counted for a quarter of a mask."""
        return self._num_masks + (MAX_TRIES - self._tries_left) // 4

    def next_tokens(self) -> list[int]:
        """The next of them; none where nothing may follow. AnswerError: the text became too complex."""
        self._num_masks += 1
        if forced := self._matcher.compute_ff_tokens():  # a long const at once
            return forced
        allowed, ids = self._vocabulary.allowed(self._matcher), self._vocabulary.ids
        if self._state.in_string:
            if not self._state.escaped and allowed[ids[QUOTE]]:
                return [ids[QUOTE]]
            return self._first_valid(self._texts) or _longest(self._vocabulary, allowed)
        if self._state.at_key:
            if allowed[ids[CLOSE[0]]]:
                return [ids[CLOSE[0]]]
            if name := self._required_name():
                return name
        for byte in PREFERRED:
            if allowed[ids[byte]]:
                return [ids[byte]]
        return _longest(self._vocabulary, allowed)

    def _required_name(self) -> list[int]:
        """A name that may come next, in quotes; those after the latest first, as names have their order."""
        for i in range(len(self._names)):
            at = (self._next_name + i) % len(self._names)
            if found := self._first_valid(self._names[at : at + 1]):
                self._next_name = at + 1
                return found
        return []

    def _first_valid(self, texts: list[list[int]]) -> list[int]:
        """The first of some texts, as tokens, that may come next; none when none may, or too many were tried."""
        for ids in texts[: self._tries_left]:
            self._tries_left -= 1
            if self._matcher.validate_tokens(ids) == len(ids):
                return ids
        return []


def _longest(vocabulary: Vocabulary, allowed: np.ndarray) -> list[int]:
    """The longest allowed token: what must be written is written soonest."""
    lengths = np.where(allowed, vocabulary.lengths, 0)
    best = int(lengths.argmax())
    return [best] if lengths[best] else []
