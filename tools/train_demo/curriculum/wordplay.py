"""Copying: texts that are said again."""

import random

from .example import Example, pick, says, user
from .stories import story
from .words import ADJECTIVES, ANIMALS, SHORT_WORDS, code, invented


def copy(rng: random.Random) -> Example:
    """A sentence, or a list of names that nobody has, said again."""
    if rng.random() < 0.5:
        text = " ".join(invented(rng) for _ in range(rng.randrange(1, 8)))
    elif rng.random() < 0.5:
        text = "".join(rng.choice("0123456789") for _ in range(rng.randrange(3, 13)))
    else:
        sentences = story(rng, rng.choice(ANIMALS), rng.choice(ADJECTIVES), True).split(". ")
        text = rng.choice(sentences).rstrip(".") + "."
    ask = pick(
        rng, f"Repeat after me: {text}", f"Say this again: {text}", f"Copy this text: {text}", f'Repeat "{text}"'
    )
    return Example("copy", text, [user(ask), says("I have to repeat it.", text)], answers=(text,))


def echo(rng: random.Random) -> Example:
    """Names, codes and words that come again in the same order, as plain text: what copying is learned from."""
    kinds = (invented, code, lambda r: r.choice(SHORT_WORDS), lambda r: invented(r).lower())
    mixed = rng.random() < 0.5
    kind = rng.choice(kinds)
    items = [(rng.choice(kinds) if mixed else kind)(rng) for _ in range(rng.randrange(4, 14))]
    between = pick(rng, " ", ", ", "\n", ". ")
    line = between.join(items)
    return Example(
        "echo", line, [{"role": "text", "content": pick(rng, "\n", "\n\n", " ", " and again: ").join([line] * 3)}]
    )
