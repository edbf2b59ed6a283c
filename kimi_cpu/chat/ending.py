"""Ends of an answer that the model does not choose: a limit on its thinking, the short way out of a half-written JSON
text, and stop texts."""

import codecs
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from llguidance import LLMatcher

from ..errors import AnswerError, ConfigError, TokenizerError
from ..tokenizer import Tokenizer
from .grammar import NUMERIC, JsonGrammar, Vocabulary
from .parser import CALL_BEGIN, SECTION_BEGIN, THINK_BEGIN, THINK_END

WRAP_UP = "\n\nI have thought about this for long enough and will answer now."
MAX_WAIT_TOKENS = 3  # for the rest of a UTF-8 character, which has four bytes at most

OPEN, CLOSE, QUOTE, BACKSLASH, COMMA, POINT = b"{[", b"}]", ord('"'), ord("\\"), ord(","), ord(".")
# Bytes in the order in which they are tried where a value, a separator or an end may stand: ends, then those that lead
# to one soonest. A digit 0 comes late, for it may go on for ever (0.000...) where a number must exceed 0.
PREFERRED = b"}],:nft123456789" + b'0"-.[{'
MAX_WAY_OUT = 1024  # tokens; a text that cannot be closed in so many is left to the sampler
MAX_TRIES = 2048  # names and texts that are tried for one way out


class ThinkingBudget:
    """A limit on the thinking of one turn, as a guide of the engine: when it is reached inside <think>, a wrap-up
    sentence and </think> are forced. Thinking that ends by itself, also by a tool-call section, is left alone."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_tokens: int | None = None,
        max_seconds: float | None = None,
        thinking: bool = False,
        no_think: bool = False,
        wrap_up: str = WRAP_UP,
        clock: Callable[[], float] = time.monotonic,
    ):
        """max_tokens, max_seconds: of all thinking in the turn, the wrap-up not counted; the seconds begin when the
        engine asks for the first thought. thinking: the prompt ends inside <think>. no_think: the block is closed as
        soon as it is open, and opened first if the prompt does not, as in the history that the template writes.
        ConfigError: a negative limit; TokenizerError: the vocabulary has no </think>."""
        if (max_tokens or 0) < 0 or (max_seconds or 0) < 0:
            raise ConfigError("A thinking budget is negative. Give 0 or more, or no_think.")
        names = tokenizer.special_tokens
        if THINK_BEGIN not in names or THINK_END not in names:
            raise TokenizerError(f"The vocabulary lacks {THINK_BEGIN} or {THINK_END}. Use this model without a budget.")
        self._tokenizer = tokenizer
        self._begin, self._end = names[THINK_BEGIN], names[THINK_END]
        self._closing = {self._end, *tokenizer.eos_ids} | {names[m] for m in (SECTION_BEGIN, CALL_BEGIN) if m in names}
        self._max_tokens = 0 if no_think else max_tokens
        self._max_seconds = max_seconds
        self._wrap_up = tokenizer.encode(wrap_up, special=False)
        self._clock = clock
        self._thinking = thinking
        self._num_tokens = 0  # thought so far
        self._block_is_empty = True  # nothing to wrap up
        self._seconds = 0.0  # thought in blocks that are closed
        self._since: float | None = None  # the clock's time at the start of this block
        self._waited = 0
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._queue: deque[int] = deque([self._begin] if no_think and not thinking else [])

    def end(self) -> None:
        """Ends the thinking now, whatever the limit was."""
        self._max_tokens = 0

    def forced(self) -> int | None:
        """The id that must come next, or None."""
        if not self._queue and self._thinking and self._spent() and not self._inside_character():
            self._queue.extend([*(() if self._block_is_empty else self._wrap_up), self._end])
        return self._queue[0] if self._queue else None

    def mask(self) -> None:
        """Nothing is forbidden."""
        return None

    def accept(self, token_id: int) -> None:
        """Takes the token that was generated."""
        if self._queue and token_id == self._queue[0]:
            self._queue.popleft()
        if token_id == self._begin:
            self._thinking = True
        elif token_id in self._closing:
            self._close()
        elif self._thinking:
            self._num_tokens += 1
            self._block_is_empty = False
            self._characters.decode(self._tokenizer.token_bytes(token_id))

    def _spent(self) -> bool:
        """Whether the limit is reached; starts the clock of this block."""
        if self._max_tokens is not None and self._num_tokens >= self._max_tokens:
            return True
        if self._max_seconds is None:
            return False
        if self._since is None:
            self._since = self._clock()
        return self._seconds + self._clock() - self._since >= self._max_seconds

    def _inside_character(self) -> bool:
        """Whether the last id left a character unfinished that may still be finished."""
        if not self._characters.getstate()[0] or self._waited == MAX_WAIT_TOKENS:
            return False
        self._waited += 1
        return True

    def _close(self) -> None:
        """The block has ended."""
        if self._thinking and self._since is not None:
            self._seconds += self._clock() - self._since
        self._thinking, self._since, self._waited, self._block_is_empty = False, None, 0, True
        self._queue.clear()
        self._characters.reset()


class WayOut(NamedTuple):
    """Tokens that end a JSON text, None where none were found. num_steps: masks and tries that the search took, each up
    to 0.3 ms."""

    tokens: list[int] | None
    num_steps: int


def way_out(
    vocabulary: Vocabulary,
    grammar: JsonGrammar,
    matcher: LLMatcher,
    state: "JsonState",
    token_bytes: Callable[[int], bytes],
) -> WayOut:
    """Tokens that end the text from here, few but not always the fewest. The matcher and the state stay as they are."""
    matcher, state = matcher.deep_copy(), state.copy()
    tokens: list[int] = []
    choice = _Choice(vocabulary, grammar, matcher, state)
    try:
        while not matcher.is_accepting():
            step = choice.next_tokens()
            if not step or len(tokens) + len(step) > MAX_WAY_OUT or not matcher.consume_tokens(step):
                return WayOut(None, choice.num_steps)
            for token_id in step:
                state.feed(token_bytes(token_id))
            tokens += step
    except AnswerError:  # this text is too complex, and perhaps no other
        return WayOut(None, choice.num_steps)
    return WayOut(tokens, choice.num_steps)


class JsonState:
    """The position of a JSON text's last byte: in a string or not, how deep, how far into a number or a fraction."""

    def __init__(self):
        self.stack = bytearray()
        self.in_string = self.escaped = False
        self.number_bytes = 0
        self.in_fraction = False
        self.last = 0  # last byte outside strings and spaces

    def copy(self) -> "JsonState":
        """An independent copy."""
        other = JsonState.__new__(JsonState)
        other.__dict__ = {**self.__dict__, "stack": self.stack[:]}
        return other

    @property
    def at_key(self) -> bool:
        """Whether a member's name, or the end of an empty object, comes next."""
        return not self.in_string and self.stack[-1:] == b"{" and self.last in (OPEN[0], COMMA)

    def feed(self, data: bytes) -> None:
        """Moves on over bytes that were written."""
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


class _Choice:
    """Chooses the tokens that lead to the end soonest, step by step. The caller moves the matcher and the state on."""

    def __init__(self, vocabulary: Vocabulary, grammar: JsonGrammar, matcher: LLMatcher, state: JsonState):
        self._vocabulary, self._matcher, self._state = vocabulary, matcher, state
        self._names, self._texts = grammar.names, grammar.texts
        self._next_name = 0
        self._tries_left = MAX_TRIES
        self._num_masks = 0

    @property
    def num_steps(self) -> int:
        """The cost so far, in masks; a try counts for a quarter of one."""
        return self._num_masks + (MAX_TRIES - self._tries_left) // 4

    def next_tokens(self) -> list[int]:
        """The next tokens; none where nothing may follow. AnswerError: the text became too complex."""
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
        """A required name that may come next, in quotes. Those after the latest are tried first, as names have their
        order."""
        for i in range(len(self._names)):
            at = (self._next_name + i) % len(self._names)
            if found := self._first_valid(self._names[at : at + 1]):
                self._next_name = at + 1
                return found
        return []

    def _first_valid(self, texts: list[list[int]]) -> list[int]:
        """The first of some texts, as tokens, that may come next; empty when none may, or too many were tried."""
        for ids in texts[: self._tries_left]:
            self._tries_left -= 1
            if self._matcher.validate_tokens(ids) == len(ids):
                return ids
        return []


def _longest(vocabulary: Vocabulary, allowed: np.ndarray) -> list[int]:
    """The longest allowed token, with which the text that must be written is written soonest."""
    lengths = np.where(allowed, vocabulary.lengths, 0)
    best = int(lengths.argmax())
    return [best] if lengths[best] else []


class StopTexts:
    """Cuts a stream before the first of some texts; a tail that could begin one is held back."""

    def __init__(self, texts: tuple[str, ...]):
        self._texts = texts
        self._held = ""
        self.found: str | None = None  # the stop text that came first

    def push(self, text: str) -> str:
        """The text that is safe to show. After a stop text was found, nothing more comes."""
        if self.found is not None:
            return ""
        if not self._texts:
            return text
        self._held += text
        found = [(at, text) for text in self._texts if (at := self._held.find(text)) >= 0]
        if found:
            at, self.found = min(found)
            out, self._held = self._held[:at], ""
            return out
        keep = max(self._overlap(t) for t in self._texts)
        out, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return out

    def flush(self) -> str:
        """The text that was held back, at the end of the stream."""
        out, self._held = self._held, ""
        return out

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of the held text that begins the stop text."""
        held = self._held
        at = held.find(stop[0], max(0, len(held) - len(stop) + 1))
        while at >= 0:
            if stop.startswith(held[at:]):
                return len(held) - at
            at = held.find(stop[0], at + 1)
        return 0
