"""Parts of long texts: those of the end of a text are those of the whole, of which little need be known."""

import random
from itertools import accumulate

from kimi_cpu.tokenizer import pretokenize
from kimi_cpu.tokenizer.pretokenize import Before, parts

ROUNDS = 3000
END = "<end>"


def test_text_that_goes_on_is_cut_as_the_whole(monkeypatch):
    """Around slices and long runs, made short: in it, behind it, over it, and again after it."""
    rng = random.Random(1)
    for _ in range(ROUNDS):
        monkeypatch.setattr(pretokenize, "MAX_ENCODE_CHARS", rng.choice((15, 40, 100)))
        monkeypatch.setattr(pretokenize, "MAX_NO_WHITESPACE_CHARS", rng.choice((4, 6, 10)))
        texts = [random_text(rng) + END for _ in range(rng.randint(1, 8))]
        count, before = rng.randint(0, len(texts)), Before()
        for text in texts[:count]:
            before = before.followed_by(text)
        begun, rest = "".join(texts[:count]), "".join(texts[count:])
        assert before.num_chars == len(begun)
        cuts = [len(begun) + end for end in ends_of(parts(rest, before))]
        assert [cut for cut in cuts if cut > len(begun)] == [c for c in ends_of(parts(begun + rest)) if c > len(begun)]


def random_text(rng):
    units = ["a" * rng.randint(0, 11), " " * rng.randint(0, 11), "bc", " \n"]
    return "".join(rng.choices(units, k=rng.randint(0, 5)))


def ends_of(found):
    return list(accumulate(map(len, found)))
