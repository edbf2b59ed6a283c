"""From generated ids to pieces of text: raw text, or an assistant's turn with reasoning, content and tool calls."""

from ..chat import OutputParser
from ..chat.deltas import Delta
from ..chat.parser import CALL, State
from ..chat.stop import StopTexts
from ..engine import TokenLogprob
from ..tokenizer import StreamDecoder, Tokenizer
from .attribution import Attribution
from .guide import ChatGuide

CANCELLED = "cancelled"  # finish_reason of an answer that the caller ended
Logprobs = tuple[TokenLogprob, ...]


class RawReader:
    """All ids are content. silent: ids that are not shown (the end token). Without a tokenizer there is no text.
    logprobs: whether ids come with theirs; those of the text are given back with it."""

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
        """What one more id adds, and the log-probabilities of the tokens in it."""
        if token_id in self._silent:
            return Delta(), ()
        if self._decoder is None:
            return Delta(), () if logprob is None else (logprob,)
        text = self._stops.push(self._decoder.push(token_id))
        if self._attribution is not None:
            self._attribution.push(self._tokenizer.token_bytes(token_id), logprob)
        text, logprobs = _shown(text, self._attribution)
        return Delta(text), logprobs

    def finish(self, finish_reason: str) -> tuple[Delta, Logprobs]:
        """What was held back: half a character, or the beginning of a stop text that did not come."""
        text = "" if self._decoder is None else self._stops.push(self._decoder.flush())
        text, logprobs = _last(text + self._stops.flush(), self._attribution)
        return Delta(text, finish_reason=finish_reason), logprobs


class ChatReader:
    """An assistant's turn. Stop texts count in the content only, and not across what interrupts it: what was held back
    for one comes before a tool call. logprobs: as in RawReader; those of the content are given back."""

    def __init__(
        self, tokenizer: Tokenizer, parser: OutputParser, stop: tuple[str, ...], guide: ChatGuide | None, logprobs: bool
    ):
        self._tokenizer, self._parser, self._guide = tokenizer, parser, guide
        self._stops = StopTexts(stop)
        self._attribution = Attribution() if logprobs else None

    @property
    def stop_text(self) -> str | None:
        """The stop text that came, if one did."""
        return self._stops.found

    def push(self, token_id: int, logprob: TokenLogprob | None = None) -> tuple[Delta, Logprobs]:
        """What one more id adds, and the log-probabilities of the tokens in its content."""
        part = self._part
        if self._attribution is not None:
            self._follow(token_id, logprob)
        delta = self._parser.push(token_id)
        is_interrupted = self._part is not part
        content = self._stops.push(delta.content) + (self._stops.flush() if is_interrupted else "")
        content, logprobs = (_last if is_interrupted else _shown)(content, self._attribution)
        return Delta(content, delta.reasoning_content, delta.tool_calls), logprobs

    def finish(self, finish_reason: str) -> tuple[Delta, Logprobs]:
        """What was held back, and how the turn ended."""
        cancelled = finish_reason == CANCELLED
        delta = self._parser.finish("length" if cancelled else finish_reason)
        content, logprobs = _last(self._stops.push(delta.content) + self._stops.flush(), self._attribution)
        warnings = delta.warnings + (() if self._guide is None else self._guide.warnings)
        reason = CANCELLED if cancelled else delta.finish_reason
        return Delta(content, delta.reasoning_content, delta.tool_calls, reason, warnings), logprobs

    @property
    def _part(self) -> State:
        """The part of the turn that the next id belongs to; calls are parts of their section."""
        return State.SECTION if self._parser.state in CALL else self._parser.state

    def _follow(self, token_id: int, logprob: TokenLogprob | None) -> None:
        """A token may become content, unless it is of the thinking; a section that cannot be read does."""
        if self._tokenizer.is_special(token_id):
            self._attribution.end_of_text()
        elif self._part not in (State.REASONING, State.AFTER):
            self._attribution.push(self._tokenizer.token_bytes(token_id), logprob)


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
