"""Stop texts over a stream of text."""


class StopTexts:
    """Cuts a stream before the first of some texts; a tail that could begin one is held back."""

    def __init__(self, texts: tuple[str, ...]):
        self._texts = texts
        self._held = ""
        self.found: str | None = None  # the stop text that came first

    def push(self, text: str) -> str:
        """Text that is safe to show. After a stop text was found, nothing more comes."""
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
        """What was held back, at the end of the stream."""
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
