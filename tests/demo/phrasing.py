"""How a sentence is phrased, whatever it speaks of."""

import re
from collections.abc import Iterator

from tools.train_demo.curriculum import words

WORD = re.compile(r"[\w']+|[+*/=×÷-]")
SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")
SAME, NEAR = 2, 5  # words that are no marks: from so many on a phrasing is one, and may differ in one word
NAMED = {
    w.lower()
    for names in (words.GIRLS, words.BOYS, words.ANIMALS, words.PEOPLE, words.COLOURS, words.OBJECTS, words.FOODS)
    + (words.CITIES, words.JOBS, words.HOBBIES, words.ROOMS, words.PLACES, words.ADJECTIVES)
    for w in names
}


def phrasings(text: str) -> Iterator[tuple[str, ...]]:
    """Per sentence its words, small, with one mark for every number and another for everything that has a name."""
    for sentence in SENTENCE.split(text):
        found = WORD.findall(sentence)
        named = [i for i, w in enumerate(found) if w.lower() in NAMED or (i and w[0].isupper() and w != "I")]
        shape = ("*" if i in named else re.sub(r"\d+", "0", w.lower()) for i, w in enumerate(found))
        if shape := tuple(shape):
            yield shape


def _own(shape: tuple[str, ...]) -> int:
    """How many words are no marks."""
    return sum(w != "*" and not w.startswith("0") for w in shape)


def near(shape: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The shape, and it without any one of its words: two shapes that differ in a word have one of them in common."""
    if _own(shape) >= SAME:
        yield shape
    if _own(shape) >= NEAR:
        yield from ((*shape[:i], "…", *shape[i + 1 :]) for i in range(len(shape)))
        yield from ((*shape[:i], *shape[i + 1 :]) for i in range(len(shape)))
