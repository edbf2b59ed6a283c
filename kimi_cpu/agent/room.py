"""Room in the context: old results are shortened first; then a summary by the model takes the place of old turns."""

from typing import TYPE_CHECKING, Any

from .transcript import Transcript

if TYPE_CHECKING:
    from ..llm import TextModel

MOST_RESERVED = 16_384  # tokens that are kept free for a turn, or a quarter of the context
MOST_SUMMARY = 4096  # tokens of a summary, or an eighth of the context
A_MESSAGE = 24  # tokens around a result's text
ENOUGH = 3 / 4  # of the limit: with more after shortening, the next steps would have to shorten again
SUMMARISE = (
    "Your context is nearly full, and the messages before this one will be removed. Write down all that you need "
    "to go on: what was asked, what was done and found so far, with names, numbers and sources, and what is left to do."
)


class Room:
    """Says how full the context is. limit: tokens that a prompt may have, so that a turn fits behind it."""

    def __init__(self, llm: "TextModel", declarations: list[dict[str, Any]]):
        self._llm, self._declarations = llm, declarations
        self.limit = llm.context - min(llm.context // 4, MOST_RESERVED)
        self.turn_tokens = max(llm.context // 4, 1)  # of a turn at most, so that the latest one is never too long
        self.summary_tokens = max(min(llm.context // 8, MOST_SUMMARY), 1)

    def is_short(self, run: Transcript) -> bool:
        """Whether the next prompt is too long, estimated from the last one and what came since. That of a task alone is
        never: nothing of it could be left out."""
        if not run.used_tokens:
            return self.can_summarise(run) and self.tokens(run) > self.limit
        new = run.entries[run.last_turn + 1 :]
        texts = (entry.message["content"] for entry in new)
        return run.used_tokens + sum(len(self._llm.tokenize(text)) + A_MESSAGE for text in texts) > self.limit

    def tokens(self, run: Transcript) -> int:
        """Tokens of the next prompt, exactly."""
        return len(self._llm.chat_ids(run.messages, self._declarations))

    def can_summarise(self, run: Transcript) -> bool:
        """Whether there are turns before the last one."""
        return any(entry.message["role"] == "assistant" for entry in run.entries[: run.last_turn])

    def to_summarise(self, run: Transcript) -> list[dict[str, Any]]:
        """The messages that ask for a summary of all turns but the last, which fitted once."""
        return [*run.messages[: run.last_turn], {"role": "user", "content": SUMMARISE}]
