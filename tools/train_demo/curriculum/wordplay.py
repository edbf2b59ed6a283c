"""Sorting, spelling, reversing, copying, counting."""

import random

from .example import Example, pick, says, user
from .stories import story
from .words import ADJECTIVES, ANIMALS, SPELLED, code, invented


def letters(word: str) -> str:
    return " ".join(word)


def reverse(rng: random.Random) -> Example:
    """A word backwards, spelled first."""
    word = rng.choice(SPELLED)
    ask = pick(
        rng, f'Reverse the word "{word}".', f"Spell {word} backwards.", f"Write {word} backwards.",
        f"What is {word} backwards?", f'Reverse the string "{word}".', f"Reverse {word}.",
    )  # fmt: skip
    thought = f"{word}: {letters(word)}. Backwards: {letters(word[::-1])}."
    return Example("reverse", word, [user(ask), says(thought, word[::-1])], answers=(word[::-1],))


def spell(rng: random.Random) -> Example:
    """A word, letter by letter."""
    word = rng.choice(SPELLED) if rng.random() < 0.7 else invented(rng).lower()
    if rng.random() < 0.3:
        ask = pick(rng, f"How many letters are in {word}?", f"How many letters does {word} have?")
        counted = ", ".join(f"{c} {i}" for i, c in enumerate(word, 1))
        return Example(
            "count_letters", word, [user(ask), says(counted + ".", f"{len(word)} letters.")], answers=(f"{len(word)} ",)
        )
    ask = pick(rng, f"Spell {word}.", f'Spell the word "{word}".', f"How do you spell {word}?")
    return Example("spell", word, [user(ask), says(f"{word}: {letters(word)}.", "-".join(word))])


def sort_numbers(rng: random.Random) -> Example:
    """Three to seven numbers of up to two digits."""
    numbers = rng.sample(range(100), rng.randrange(3, 8))
    up = rng.random() < 0.8
    text = ", ".join(map(str, numbers))
    ask = pick(rng, f"Sort these numbers: {text}", f"Sort the list {text}.", f"Put these numbers in order: {text}")
    if not up:
        ask = pick(rng, f"Sort these numbers from large to small: {text}", f"Sort in descending order: {text}")
    result = sorted(numbers, reverse=not up)
    tens: dict[int, list[int]] = {}
    for n in numbers:
        tens.setdefault(n // 10, []).append(n)
    # The list by tens first, so that each step looks at few numbers.
    order = sorted(tens, reverse=not up)
    steps = "; ".join(f"{t}: {', '.join(map(str, tens[t]))}" for t in order)
    answer = ", ".join(map(str, result))
    return Example("sort", f"{sorted(numbers)}", [user(ask), says(f"By tens: {steps}.", answer)], answers=(answer,))


def sort_words(rng: random.Random) -> Example:
    """Three to five words of the world, in the order of the alphabet."""
    words = rng.sample(SPELLED, rng.randrange(3, 6))
    text = ", ".join(words)
    ask = pick(rng, f"Sort these words: {text}", f"Put these words in alphabetical order: {text}")
    thought = "First letters: " + ", ".join(f"{w[0]} {w}" for w in words) + "."
    answer = ", ".join(sorted(words))
    return Example("sort_words", f"{sorted(words)}", [user(ask), says(thought, answer)], answers=(answer,))


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
    kinds = (invented, code, lambda r: r.choice(SPELLED), lambda r: invented(r).lower())
    mixed = rng.random() < 0.5
    kind = rng.choice(kinds)
    items = [(rng.choice(kinds) if mixed else kind)(rng) for _ in range(rng.randrange(4, 14))]
    between = pick(rng, " ", ", ", "\n", ". ")
    line = between.join(items)
    return Example(
        "echo", line, [{"role": "text", "content": pick(rng, "\n", "\n\n", " ", " and again: ").join([line] * 3)}]
    )
