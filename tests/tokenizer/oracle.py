"""The official encoder, rebuilt on tiktoken: tokenization_kimi.py's splitting, its pattern, tiktoken's merges."""

from base64 import b64decode
from collections.abc import Iterator

import tiktoken

PATTERN = "|".join(  # tokenization_kimi.py: pat_str
    (
        r"[\p{Han}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


class Official:
    """tokenization_kimi.py's TikTokenTokenizer as far as ids are concerned."""

    def __init__(self, ranks: bytes, special_tokens: dict[str, int]):
        lines = (line.split() for line in ranks.splitlines())
        mergeable = {b64decode(token): int(rank) for token, rank in lines}
        self.encoding = tiktoken.Encoding(
            "kimi", pat_str=PATTERN, mergeable_ranks=mergeable, special_tokens=special_tokens
        )

    def encode(self, text: str, special: bool = True) -> list[int]:
        ids = []
        for start in range(0, len(text), 400_000):
            for part in split_runs(text[start : start + 400_000], 25_000):
                if special:
                    ids += self.encoding.encode(part, allowed_special="all")
                else:
                    ids += self.encoding.encode(part, disallowed_special=())
        return ids


def split_runs(text: str, longest: int) -> Iterator[str]:
    """The text, cut wherever a run of whitespace or of non-whitespace would exceed `longest` characters."""
    start = length = 0
    last = None
    for i, character in enumerate(text):
        is_space = character.isspace()
        length = length + 1 if is_space == last else 1
        last = is_space
        if length > longest:
            yield text[start:i]
            start, length = i, 1
    yield text[start:]
