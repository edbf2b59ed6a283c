"""Names of rows, as llama-bench has them and a little more, and the sizes that every engine measures them with.

Imported by peers in interpreters of their own, so it needs nothing but Python.
"""

import re
from typing import NamedTuple

PIECE = 16  # tokens of a generation that are timed at once
BATCH_DEPTH, BATCH_STEPS = 64, 8  # of several sequences at once
PROMPT_STEP = 512  # tokens of a step, all engines
MAX_SEQUENCES = 32
NEW_TOKENS = 64  # of a request after a common prefix, in benchmarks/cache.py
NAME = re.compile(r"(?P<kind>pp|tg|x)(?P<count>[1-9]\d*)(@d(?P<depth>\d+))?(?P<busy>\+busy)?")


class Row(NamedTuple):
    """`count` tokens of a prompt ("pp") or of generation ("tg") after `depth` tokens, or `count` sequences that
    generate at once ("x"). busy: beside a process that computes without end."""

    kind: str
    count: int
    depth: int
    busy: bool

    @property
    def context(self) -> int:
        """Tokens of one sequence, at most."""
        return BATCH_DEPTH + 2 * BATCH_STEPS if self.kind == "x" else self.depth + self.count

    def begin(self, turn: int) -> int:
        """Where in the sequence the piece of a turn begins: pieces of a generation follow each other, and begin anew
        at its end."""
        return self.depth + PIECE * (turn % max(1, self.count // PIECE))


def parse(name: str) -> Row:
    """The row of a name: pp512, tg64, tg64@d4096, x16, tg64+busy."""
    match = NAME.fullmatch(name)
    if match is None:
        raise SystemExit(f"{name!r} is no row; rows are pp512, tg64, tg64@d4096, x16, tg64+busy and their like")
    return Row(match["kind"], int(match["count"]), int(match["depth"] or 0), match["busy"] is not None)
