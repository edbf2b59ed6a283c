"""Write kimi_cpu/tokenizer/unicode_classes.py: what tiktoken's own pattern engine says of every character.

    python tools/probe_unicode_classes.py

Needs tiktoken. Character classes change with every Unicode version and engines carry their own tables, so the
tokenizer holds the answers of the engine that the vocabulary's owner uses instead of asking another one.
"""

from pathlib import Path

import numpy as np
import tiktoken

TARGET = Path(__file__).parents[1] / "kimi_cpu" / "tokenizer" / "unicode_classes.py"
NUM_CODE_POINTS = 0x110000
PATTERNS = {  # the sets of Kimi's pattern (tokenization_kimi.py, pat_str), one bit each
    "han": r"\p{Han}",
    "upper": r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]",
    "lower": r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]",
    "letter": r"\p{L}",
    "number": r"\p{N}",
    "space": r"\s",
}
CLASSES = {  # members of exactly these sets -> class
    frozenset(): "p",
    frozenset({"upper", "letter"}): "A",
    frozenset({"lower", "letter"}): "a",
    frozenset({"upper", "lower", "letter"}): "b",
    frozenset({"upper", "lower"}): "k",
    frozenset({"number"}): "n",
    frozenset({"han", "letter"}): "h",
    frozenset({"han", "number"}): "i",
    frozenset({"han"}): "j",
    frozenset({"space"}): "z",
}
HEADER = '''"""The sets of Kimi's pattern that each character belongs to. Written by tools/probe_unicode_classes.py.

Probed from the engine of tiktoken {version}. An entry is a run of equal characters: first code point (hex), class.
    A  Lu Lt             a  Ll                 b  Lm Lo              k  M               (none of them Han)
    h  Han and L         i  Han and N          j  Han, neither
    n  N                 z  whitespace         p  everything else
"""

RUNS = """
'''


def members(pattern: str) -> np.ndarray:
    """bool[0x110000]: the code points that the pattern matches. tiktoken drops what nothing matches."""
    single_bytes = {bytes([i]): i for i in range(256)}
    encoding = tiktoken.Encoding("probe", pat_str=pattern, mergeable_ranks=single_bytes, special_tokens={})
    found = np.zeros(NUM_CODE_POINTS, bool)
    for start in range(0, NUM_CODE_POINTS, 0x10000):
        text = "".join(chr(c) for c in range(start, start + 0x10000) if not 0xD800 <= c <= 0xDFFF)
        matched = bytes(encoding.encode_ordinary(text)).decode()
        found[[ord(c) for c in matched]] = True
    return found


def classes() -> str:
    """One class character for each code point."""
    sets = {name: members(pattern) for name, pattern in PATTERNS.items()}
    bits = sum(found.astype(int) << i for i, found in enumerate(sets.values()))
    table = {sum(1 << list(PATTERNS).index(name) for name in key): value for key, value in CLASSES.items()}
    return "".join(table[b] for b in bits.tolist())


def runs(text: str) -> list[str]:
    """Entries such as 41A: where a run of equal class begins, and the class."""
    return [f"{i:X}{c}" for i, c in enumerate(text) if i == 0 or text[i - 1] != c]


def main() -> None:
    """Write the module."""
    lines = [""]
    for entry in runs(classes()):
        if len(lines[-1]) + 1 + len(entry) > 120:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + entry
    TARGET.write_text(HEADER.format(version=tiktoken.__version__) + "\n".join(lines) + '\n"""\n')


if __name__ == "__main__":
    main()
