"""How a sentence is phrased, whatever it speaks of; and training examples without the examination's phrasings."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from .curriculum import Example, words
from .examination import questions

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


def apart(examples: Iterable[Example]) -> Iterator[Example]:
    """The examples in which nothing is asked or said as the examination does, or nearly so."""
    for example in examples:
        said = (m["content"] for m in example.messages if m["role"] == "user")
        if not any(n in examined() for text in said for shape in phrasings(text) for n in near(shape)):
            yield example


@cache
def examined() -> frozenset[tuple[str, ...]]:
    """All that is near to a phrasing of the examination."""
    said = (turn.text for question in questions() for turn in question.turns)
    return frozenset(n for text in said for shape in phrasings(text) for n in near(shape))


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
