"""Loops: the same calls with the same results, again and again."""

from collections import Counter

TOLD_AT = 3  # times that a call had the same result; once more ends the run
NOTE = (
    "[This call has now had this result {times} times, and nothing new has come in between. "
    "Do something else, or answer with what you have; once more ends the run.]"
)


class Repeats:
    """Counts how often each call came with the same result since there was last one that had not come before: a run
    that goes on to new results is in no loop, whatever it looks at again on the way."""

    def __init__(self):
        self._known: set[tuple[str, str, str]] = set()
        self._since_new: Counter[tuple[str, str, str]] = Counter()

    def add(self, name: str, arguments: str, content: str) -> int:
        """Adds a call with its result; how often they came since the last new one."""
        pair = (name, arguments, content)
        if pair not in self._known:
            self._known.add(pair)
            self._since_new.clear()
        self._since_new[pair] += 1
        return self._since_new[pair]
