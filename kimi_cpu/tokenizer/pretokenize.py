"""Text -> parts -> pieces, which merges do not cross, as Kimi's tokenization_kimi.py and its pattern cut it.

The pattern (pat_str) is made of Unicode sets, and every engine has its own Unicode version: the `regex` package cuts
characters of newer scripts elsewhere than tiktoken does, and would have to search 1,277 ranges for a letter. So each
character is first replaced by one byte that names the sets it is in (unicode_classes.py), and the pattern, written in
these bytes, is left to `re`, whose sets of bytes are bitmaps. One byte is one character: the lengths carry over.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np

from .unicode_classes import RUNS

MAX_ENCODE_CHARS = 400_000  # tokenization_kimi.py: TIKTOKEN_MAX_ENCODE_CHARS
MAX_NO_WHITESPACE_CHARS = 25_000  # tokenization_kimi.py: MAX_NO_WHITESPACES_CHARS; bounds runs of whitespace as well

UPPER = rb"[ASTREVMLDbk]"  # [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]
LOWER = rb"[astrevmldbk]"  # [\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]
PREFIX = rb"[ 'pkz]"  # [^\r\n\p{L}\p{N}]; the Han among them never come to it, as the first alternative takes them
CONTRACTION = rb"(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?"
PATTERN = re.compile(
    b"|".join(
        (
            rb"[hij]+",  # [\p{Han}]+
            PREFIX + rb"?" + UPPER + rb"*" + LOWER + rb"+" + CONTRACTION,
            PREFIX + rb"?" + UPPER + rb"+" + LOWER + rb"*" + CONTRACTION,
            rb"[ni]{1,3}",  # \p{N}{1,3}
            rb" ?['pkj]+\n*",  #  ?[^\s\p{L}\p{N}]+[\r\n]*
            rb"[ z\n]*\n+",  # \s*[\r\n]+
            rb"[ z\n]+(?![^ z\n])",  # \s+(?!\S)
            rb"[ z\n]+",  # \s+
        )
    )
)
RUN = re.compile(r"\s+|\S+")  # in `re`, \s is str.isspace(), which the official code asks


class Before(NamedTuple):
    """What must be known of a text to cut another one behind it: its characters, and how many of them stand at its end
    without whitespace, in the last 400,000 that are cut together. It does not end with whitespace."""

    num_chars: int = 0
    run: int = 0

    def followed_by(self, text: str) -> "Before":
        """The same of both texts together; the second one is not empty, and does not end with whitespace."""
        num_chars, run = self.num_chars + len(text), len(text.rsplit(None, 1)[-1])
        run += self.run if run == len(text) else 0
        return Before(num_chars, min(run, num_chars % MAX_ENCODE_CHARS))


NOTHING_BEFORE = Before()


def parts(text: str, before: Before = NOTHING_BEFORE) -> Iterator[str]:
    """Parts that are encoded on their own: at most 400,000 characters, and no run of whitespace or of anything else
    longer than 25,000. The empty text has none. tokenization_kimi.py: encode, _split_whitespaces_or_nonwhitespaces.

    before: the text is the end of a longer one, after this; the first part is then the end of one of that, or empty.
    """
    for start in range(-(before.num_chars % MAX_ENCODE_CHARS), len(text), MAX_ENCODE_CHARS):
        chunk = text[max(start, 0) : start + MAX_ENCODE_CHARS]
        run = before.run if start < 0 and not chunk[:1].isspace() else 0
        if _may_have_a_long_run(chunk, run):
            yield from _split_long_runs(chunk, run)
        else:
            yield chunk


def pieces(text: str) -> list[str]:
    """The pieces of pat_str, in order; together they are the text, which holds no surrogates."""
    code_points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    found = PATTERN.findall(_class_table()[code_points].tobytes())
    ends = accumulate(map(len, found))
    return [text[start:end] for start, end in pairwise(chain((0,), ends))]


def _may_have_a_long_run(chunk: str, run: int) -> bool:
    """Whether a stretch from one multiple of 12,500 to the next is all whitespace or free of it: any run longer than
    25,000 covers such a stretch. Ordinary text answers within a few characters. run: characters before the chunk that
    belong to its first run."""
    first = RUN.match(chunk) if run else None
    if first is not None and run + first.end() > MAX_NO_WHITESPACE_CHARS:
        return True
    step = MAX_NO_WHITESPACE_CHARS // 2
    for start in range(0, len(chunk) - step, step):
        first = RUN.match(chunk, start, start + step)
        if first is not None and first.end() == start + step:
            return True
    return False


def _split_long_runs(chunk: str, run: int) -> Iterator[str]:
    """The chunk, cut in each run after every 25,000 characters of it. run: see _may_have_a_long_run."""
    start = 0
    for found in RUN.finditer(chunk):
        begin = found.start() or -(run % MAX_NO_WHITESPACE_CHARS)
        for cut in range(begin + MAX_NO_WHITESPACE_CHARS, found.end(), MAX_NO_WHITESPACE_CHARS):
            yield chunk[start:cut]
            start = cut
    yield chunk[start:]


@cache
def _class_table() -> np.ndarray:
    """uint8[0x110000]: the byte that stands for a code point in PATTERN, a class of unicode_classes.py or one of these:
    space, CR and LF as LF, the apostrophe, and the letters of contractions, which stand for themselves."""
    entries = RUNS.split()
    starts = [int(entry[:-1], 16) for entry in entries] + [0x110000]
    table = np.repeat(np.array([ord(entry[-1]) for entry in entries], np.uint8), np.diff(starts))
    for character in " 'strevmldSTREVMLD\n":
        table[ord(character)] = ord(character)
    table[ord("\r")] = ord("\n")
    table[ord("ſ")] = ord("s")  # U+017F is an s when case is ignored
    table.flags.writeable = False
    return table
