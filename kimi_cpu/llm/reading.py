"""One answer, token by token: the guide that steers its ids, and the readers that make text of them, or an assistant's
turn with reasoning, content and tool calls."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..chat import Enforcer, OutputParser, ThinkingBudget
from ..chat.ending import StopTexts
from ..chat.parser import CALL, Delta, State
from ..engine import Guide, TokenLogprob
from ..tokenizer import StreamDecoder, Tokenizer

CANCELLED = "cancelled"  # finish_reason of an answer that the caller ended
Logprobs = tuple[TokenLogprob, ...]


class ChatGuide:
    """The engine's Guide over an enforcer and a thinking budget, either of which may be missing."""

    def __init__(self, enforcer: Enforcer | None, budget: ThinkingBudget | None, num_logits: int):
        """num_logits: columns of the logits, which may be more than the vocabulary's ids."""
        self._guides = [guide for guide in (budget, enforcer) if guide is not None]
        self._enforcer, self._budget = enforcer, budget
        self._num_logits = num_logits
        self.told: tuple[str, ...] = ()  # warnings of an equal guide that stood beside another engine

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what could not be enforced as asked."""
        return self.told if self._enforcer is None else (*self.told, *self._enforcer.warnings)

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


@dataclass(eq=False)
class _Token:
    """A token that was generated. num_waiting: its bytes of which nobody knows yet whether they are shown."""

    logprob: TokenLogprob | None
    raw: bytes
    num_waiting: int = field(init=False)
    shown: bytes = b""

    def __post_init__(self):
        self.num_waiting = len(self.raw)


class Attribution:
    """Finds the tokens of the text that is shown: `push` each token, then `show` the part of their text that is shown.

    Text comes back with the log-probabilities of its tokens, as soon as it is known how much of the last one is shown.
    So the bytes of the tokens of a piece are its text, and no token comes twice; a token that is shown in part, because
    a stop text begins within it, has those bytes only.
    """

    def __init__(self) -> None:
        self._undecoded: list[tuple[_Token, int]] = []  # bytes of a character that is not complete, and whose they are
        self._waiting: deque[tuple[str, list[tuple[_Token, int]]]] = deque()  # characters, not yet shown or dropped
        self._text: list[str] = []  # shown, but not yet given back
        self._tokens: list[_Token] = []  # those in it

    def push(self, raw: bytes, logprob: TokenLogprob | None) -> None:
        """A token whose text may be shown. logprob: None where it is unknown, so that it is never given back."""
        token = _Token(logprob, raw)
        self._undecoded += [(token, byte) for byte in raw]
        self._decode(final=False)

    def show(self, text: str) -> tuple[str, tuple[TokenLogprob, ...]]:
        """Takes text that is shown: the tokens' text in their order, perhaps with parts left out. Returns the text that
        is certain now, and its tokens."""
        for character in text:
            while self._waiting:
                waiting, spelled = self._waiting.popleft()
                for token, _ in spelled:
                    token.num_waiting -= 1
                if waiting == character:
                    self._add(spelled)
                    break
            self._text.append(character)
        return self._certain()

    def end_of_text(self) -> None:
        """No byte will complete a character that was begun."""
        self._decode(final=True)

    def drop(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        """Nothing more of the tokens so far will be shown; returns the text that is certain now, and its tokens."""
        self._undecoded.clear()
        self._waiting.clear()
        for token in self._tokens:
            token.num_waiting = 0
        return self._certain()

    def _add(self, spelled: list[tuple[_Token, int]]) -> None:
        for token, byte in spelled:
            token.shown += bytes((byte,))
            if not self._tokens or self._tokens[-1] is not token:
                self._tokens.append(token)

    def _certain(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        if self._tokens and self._tokens[-1].num_waiting:
            return "", ()
        text, tokens, self._text, self._tokens = "".join(self._text), self._tokens, [], []
        return text, tuple(
            t.logprob if t.shown == t.raw else t.logprob._replace(shown=t.shown) for t in tokens if t.logprob
        )

    def _decode(self, final: bool) -> None:
        """Moves characters that are complete, or never will be, as an incremental decoder that replaces errors does."""
        while self._undecoded:
            raw = bytes(byte for _, byte in self._undecoded)
            try:
                characters, num_bytes, wrong = raw.decode(), len(raw), 0
            except UnicodeDecodeError as e:
                characters, num_bytes, wrong = raw[: e.start].decode(), e.start, e.end - e.start
                if e.end == len(raw) and e.reason == "unexpected end of data" and not final:
                    wrong = 0  # it may yet be completed
            for character in characters:
                self._wait_with(character, len(character.encode()))
            if wrong:
                self._wait_with("\ufffd", wrong)
            if not num_bytes and not wrong:
                return

    def _wait_with(self, character: str, num_bytes: int) -> None:
        self._waiting.append((character, self._undecoded[:num_bytes]))
        del self._undecoded[:num_bytes]


class RawReader:
    """Reads an answer to a raw prompt: all ids are content. silent: ids that are not shown (the end token). Without a
    tokenizer there is no text. logprobs: whether ids come with theirs; those of the text are given back with it."""

    def __init__(
        self, tokenizer: Tokenizer | None, stop: tuple[str, ...], silent: frozenset[int], logprobs: bool = False
    ):
        self._tokenizer, self._silent = tokenizer, silent
        self._decoder = StreamDecoder(tokenizer) if tokenizer is not None else None
        self._stops = StopTexts(stop)
        self._attribution = Attribution() if logprobs else None

    @property
    def stop_text(self) -> str | None:
        """The stop text that came, if one did."""
        return self._stops.found

    def push(self, token_id: int, logprob: TokenLogprob | None = None) -> tuple[Delta, Logprobs]:
        """The text that one more id adds, and the log-probabilities of the tokens in it."""
        if token_id in self._silent:
            return Delta(), ()
        if self._decoder is None:
            return Delta(), () if logprob is None else (logprob,)
        text = self._stops.push(self._decoder.push(token_id))
        if self._attribution is not None and self._tokenizer is not None:
            self._attribution.push(self._tokenizer.token_bytes(token_id), logprob)
        text, logprobs = _shown(text, self._attribution)
        return Delta(text), logprobs

    def finish(self, finish_reason: str) -> tuple[Delta, Logprobs]:
        """The text that was held back: half a character, or the beginning of a stop text that did not come."""
        text = "" if self._decoder is None else self._stops.push(self._decoder.flush())
        text, logprobs = _last(text + self._stops.flush(), self._attribution)
        return Delta(text, finish_reason=finish_reason), logprobs


class ChatReader:
    """Reads an assistant's turn. Stop texts count in the content only, and not across what interrupts it: text that was
    held back for one comes before a tool call. logprobs: as in RawReader; those of the content are given back."""

    def __init__(
        self, tokenizer: Tokenizer, parser: OutputParser, stop: tuple[str, ...], guide: Guide | None, logprobs: bool
    ):
        self._tokenizer, self._parser, self._guide = tokenizer, parser, guide
        self._stops = StopTexts(stop)
        self._attribution = Attribution() if logprobs else None

    @property
    def stop_text(self) -> str | None:
        """The stop text that came, if one did."""
        return self._stops.found

    def push(self, token_id: int, logprob: TokenLogprob | None = None) -> tuple[Delta, Logprobs]:
        """The part of the turn that one more id adds, and the log-probabilities of the tokens in its content."""
        part = self._part
        if self._attribution is not None:
            self._follow(self._attribution, token_id, logprob)
        delta = self._parser.push(token_id)
        is_interrupted = self._part is not part
        content = self._stops.push(delta.content) + (self._stops.flush() if is_interrupted else "")
        content, logprobs = (_last if is_interrupted else _shown)(content, self._attribution)
        return Delta(content, delta.reasoning_content, delta.tool_calls), logprobs

    def finish(self, finish_reason: str) -> tuple[Delta, Logprobs]:
        """The text that was held back, and the reason for which the turn ended."""
        cancelled = finish_reason == CANCELLED
        delta = self._parser.finish("length" if cancelled else finish_reason)
        content, logprobs = _last(self._stops.push(delta.content) + self._stops.flush(), self._attribution)
        warnings = delta.warnings + (self._guide.warnings if isinstance(self._guide, ChatGuide) else ())
        reason = CANCELLED if cancelled else delta.finish_reason
        return Delta(content, delta.reasoning_content, delta.tool_calls, reason, warnings), logprobs

    @property
    def _part(self) -> State:
        """The part of the turn that the next id belongs to; calls are parts of their section."""
        return State.SECTION if self._parser.state in CALL else self._parser.state

    def _follow(self, attribution: Attribution, token_id: int, logprob: TokenLogprob | None) -> None:
        """Pushes a token that may become content: one outside of the thinking. A section of calls that cannot be read
        becomes content, too."""
        if self._tokenizer.is_special(token_id):
            attribution.end_of_text()
        elif self._part not in (State.REASONING, State.AFTER):
            attribution.push(self._tokenizer.token_bytes(token_id), logprob)


def _shown(text: str, attribution: Attribution | None) -> tuple[str, Logprobs]:
    """Text, and the tokens of it that are complete."""
    return (text, ()) if attribution is None else attribution.show(text)


def _last(text: str, attribution: Attribution | None) -> tuple[str, Logprobs]:
    """Text after which nothing is shown of the tokens that came so far, and its tokens."""
    if attribution is None:
        return text, ()
    attribution.end_of_text()
    first, logprobs = attribution.show(text)
    second, others = attribution.drop()
    return first + second, logprobs + others
