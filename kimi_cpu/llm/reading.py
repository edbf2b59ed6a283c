"""From generated ids to pieces of text: raw text, or an assistant's turn with reasoning, content and tool calls."""

from ..chat import OutputParser
from ..chat.deltas import Delta
from ..chat.stop import StopTexts
from ..tokenizer import StreamDecoder, Tokenizer
from .guide import ChatGuide

CANCELLED = "cancelled"  # finish_reason of an answer that the caller ended


class RawReader:
    """All ids are content. silent: ids that are not shown (the end token). Without a tokenizer there is no text."""

    def __init__(self, tokenizer: Tokenizer | None, stop: tuple[str, ...], silent: frozenset[int]):
        self._decoder = StreamDecoder(tokenizer) if tokenizer is not None else None
        self._stops = StopTexts(stop)
        self._silent = silent

    @property
    def stop_text(self) -> str | None:
        """The stop text that came, if one did."""
        return self._stops.found

    def push(self, token_id: int) -> Delta:
        """What one more id adds."""
        if self._decoder is None or token_id in self._silent:
            return Delta()
        return Delta(self._stops.push(self._decoder.push(token_id)))

    def finish(self, finish_reason: str) -> Delta:
        """What was held back: half a character, or the beginning of a stop text that did not come."""
        text = "" if self._decoder is None else self._stops.push(self._decoder.flush())
        return Delta(text + self._stops.flush(), finish_reason=finish_reason)


class ChatReader:
    """An assistant's turn. Stop texts count in the content only."""

    def __init__(self, parser: OutputParser, stop: tuple[str, ...], guide: ChatGuide | None):
        self._parser, self._stops, self._guide = parser, StopTexts(stop), guide

    @property
    def stop_text(self) -> str | None:
        """The stop text that came, if one did."""
        return self._stops.found

    def push(self, token_id: int) -> Delta:
        """What one more id adds."""
        delta = self._parser.push(token_id)
        return Delta(self._stops.push(delta.content), delta.reasoning_content, delta.tool_calls)

    def finish(self, finish_reason: str) -> Delta:
        """What was held back, and how the turn ended."""
        cancelled = finish_reason == CANCELLED
        delta = self._parser.finish("length" if cancelled else finish_reason)
        content = self._stops.push(delta.content) + self._stops.flush()
        warnings = delta.warnings + (() if self._guide is None else self._guide.warnings)
        reason = CANCELLED if cancelled else delta.finish_reason
        return Delta(content, delta.reasoning_content, delta.tool_calls, reason, warnings)
