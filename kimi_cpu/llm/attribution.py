"""Which tokens a text is made of, when not all that they say is shown."""

from collections import deque
from dataclasses import dataclass, field

from ..engine import TokenLogprob


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
    """Follows tokens into a text: `push` each, then `show` what was let through of their text, in their order.

    Text is given back together with its tokens' log-probabilities, as soon as it is known how much of the last one is
    shown. So the bytes of the tokens of a piece are its text, and no token comes twice; one that is shown in part, as
    where a stop text begins within it, has those bytes only.
    """

    def __init__(self):
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
        """Lets text through, which the tokens say in their order, perhaps with parts left out; returns what is certain
        now, and its tokens."""
        for character in text:
            while self._waiting:
                waiting, said = self._waiting.popleft()
                for token, _ in said:
                    token.num_waiting -= 1
                if waiting == character:
                    self._say(said)
                    break
            self._text.append(character)
        return self._certain()

    def end_of_text(self) -> None:
        """No byte will complete a character that was begun."""
        self._decode(final=True)

    def drop(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        """What was not shown will not be; returns what is certain now."""
        self._undecoded.clear()
        self._waiting.clear()
        for token in self._tokens:
            token.num_waiting = 0
        return self._certain()

    def _say(self, said: list[tuple[_Token, int]]) -> None:
        for token, byte in said:
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
