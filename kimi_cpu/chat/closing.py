"""The short way out of a half-written JSON text, so that one always ends before the tokens do."""

import json

import numpy as np
from llguidance import LLMatcher

from .grammar import JsonGrammar, Vocabulary

OPEN, CLOSE, QUOTE, BACKSLASH, COMMA, POINT = b"{[", b"}]", ord('"'), ord("\\"), ord(","), ord(".")
NUMBER = b"0123456789.eE+-"
# What is tried first where a value, a separator or an end may stand: ends, then what leads to one soonest. A digit 0
# comes last, for it may go on for ever (0.000...) where a number must exceed 0.
PREFERRED = b"}],:nft123456789" + b'0"-.[{'
MAX_PLAN = 8192  # tokens; a schema that cannot be closed in so many is left to the sampler


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
            self.number_bytes = self.number_bytes + 1 if byte in NUMBER else 0
            self.in_fraction = self.number_bytes > 0 and (self.in_fraction or byte == POINT)
            if byte == QUOTE:
                self.in_string = True
            elif byte in OPEN:
                self.stack.append(byte)
            elif byte in CLOSE:
                self.stack[-1:] = b""
            if byte != ord(" "):
                self.last = byte


def closing_tokens(
    vocabulary: Vocabulary, grammar: JsonGrammar, matcher: LLMatcher, state: JsonState, token_bytes
) -> list[int] | None:
    """Tokens that end the text from here, few but not always the fewest; None where no end was found."""
    matcher, state = matcher.deep_copy(), state.copy()
    plan: list[int] = []
    while not matcher.is_accepting():
        step = _next_tokens(vocabulary, grammar, matcher, state)
        if not step or len(plan) > MAX_PLAN or not matcher.consume_tokens(step):
            return None
        for token_id in step:
            state.feed(token_bytes(token_id))
        plan += step
    return plan


def _next_tokens(vocabulary: Vocabulary, grammar: JsonGrammar, matcher: LLMatcher, state: JsonState) -> list[int]:
    allowed = vocabulary.allowed(matcher)
    ids = vocabulary.ids
    if state.in_string:
        if not state.escaped and allowed[ids[QUOTE]]:
            return [ids[QUOTE]]
        for example in grammar.schema.examples:
            quoted = json.dumps(example, ensure_ascii=False)[1:]
            for start in range(len(quoted) - 1):
                if found := _valid(vocabulary, matcher, quoted[start:]):
                    return found
        return _longest(vocabulary, allowed)
    if state.at_key:
        if allowed[ids[CLOSE[0]]]:
            return [ids[CLOSE[0]]]
        for name in grammar.schema.required:
            if found := _valid(vocabulary, matcher, json.dumps(name, ensure_ascii=False)):
                return found
    for byte in PREFERRED:
        if allowed[ids[byte]]:
            return [ids[byte]]
    return _longest(vocabulary, allowed)


def _valid(vocabulary: Vocabulary, matcher: LLMatcher, text: str) -> list[int]:
    """The text's tokens when they may come next, else none."""
    ids = vocabulary.encode(text)
    return ids if matcher.validate_tokens(ids) == len(ids) else []


def _longest(vocabulary: Vocabulary, allowed: np.ndarray) -> list[int]:
    """The longest allowed token: what must be written is written soonest."""
    lengths = np.where(allowed, vocabulary.lengths, 0)
    best = int(lengths.argmax())
    return [best] if lengths[best] else []
