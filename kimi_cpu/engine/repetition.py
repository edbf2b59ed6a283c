"""Answers that run in a circle: their last tokens are copies of one pattern."""

from array import array
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import RequestError

REPETITION = "repetition"  # the stop_reason of an answer that was ended for it
EVERY = 64  # tokens of an answer between two looks, of which one takes 10 to 30 us
ITEM = array("i").itemsize


class Repetition(NamedTuple):
    """The rule: an answer ends when its last tokens are `min_count` copies, one right after the other, of any pattern
    of min_pattern_size to max_pattern_size tokens. It is looked at after every 64th token of the answer.

    The defaults need 256 tokens that repeat, four copies or more: no table, code or list that a person would write has
    them. A shorter pattern, such as one token, counts as the longer ones that are made of it.
    """

    min_pattern_size: int = 64
    max_pattern_size: int = 1024
    min_count: int = 4

    @classmethod
    def of(cls, wish: bool | Mapping[str, int] | None) -> "Repetition | None":
        """What a request's repetition_detection asks for; None: that nothing is looked at. RequestError."""
        if wish is None or wish is False:
            return None
        given: Mapping[str, int] = {} if wish is True else wish
        rule = cls(**given)
        if not rule.max_pattern_size:
            return None
        least = min(rule.min_pattern_size, rule.max_pattern_size)
        if given.get("min_pattern_size", least) != least:
            message = f"min_pattern_size is {rule.min_pattern_size}, more than max_pattern_size, {least}."
            raise RequestError(f"repetition_detection.{message}", "repetition_detection.min_pattern_size")
        return rule._replace(min_pattern_size=least)

    def ends(self, ids: list[int]) -> bool:
        """Whether an answer ends with the last of its ids so far, of which this is called for each."""
        return len(ids) % EVERY == 0 and self.holds(ids)

    def holds(self, ids: list[int]) -> bool:
        """Whether the last ids are copies of one pattern."""
        size = self.min_pattern_size
        if len(ids) < self.min_count * size:
            return False
        window = array("i", ids[-self.max_pattern_size - size :]).tobytes()
        num_bytes = ITEM * size
        last, before = window[-num_bytes:], len(window) - num_bytes
        at = window.rfind(last, 0, before)  # without a copy of the last few there is none of a whole pattern
        while at >= 0:
            period, between = divmod(before - at, ITEM)
            if not between and self._has_period(ids, period):
                return True
            at = window.rfind(last, 0, at + num_bytes - 1)
        return False

    def _has_period(self, ids: list[int], period: int) -> bool:
        n = self.min_count * period
        return len(ids) >= n and ids[-n:-period] == ids[period - n :]
