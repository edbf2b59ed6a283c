"""A limit on thinking, after which there is an answer."""

import codecs
import time
from collections import deque
from collections.abc import Callable

from ..errors import ConfigError, TokenizerError
from ..tokenizer import Tokenizer
from .parser import CALL_BEGIN, SECTION_BEGIN, THINK_BEGIN, THINK_END

WRAP_UP = "\n\nI have thought about this for long enough and will answer now."
MAX_WAIT_TOKENS = 3  # for the end of a UTF-8 character, which has four bytes at most


class ThinkingBudget:
    """Guides the engine through one turn: when the limit is reached inside <think>, a wrap-up sentence and </think> are
    forced. Thinking that ends by itself, also by a tool-call section, is left alone."""

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
        """The limit is reached now, whatever it was."""
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
        """A token was generated."""
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
        if self._thinking and self._since is not None:
            self._seconds += self._clock() - self._since
        self._thinking, self._since, self._waited, self._block_is_empty = False, None, 0, True
        self._queue.clear()
        self._characters.reset()
