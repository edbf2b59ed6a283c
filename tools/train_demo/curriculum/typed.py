"""A question as a stranger types it: in small letters, without a question mark, politely, or with a slip."""

import random
import re

from .example import cap

BEFORE = ["please ", "Please, ", "hey, ", "Hi! ", "Hello, ", "can you tell me: ", "Tell me: ", "quick question: ",
    "ok, ",
          "And ", "So ", "one more: ", "I wonder: ", "Excuse me, ", "hello! ", "Kimi, ", "Now: "]  # fmt: skip
AFTER = [" please", ", please", " thanks", " Thank you!", " Thanks in advance.", " :)", "!!", "??", " ok?", " pls"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typed(rng: random.Random, text: str) -> str:
    """The text in another form; no letter of it changes but in case."""
    if rng.random() < 0.5:
        return text
    if rng.random() < 0.35:
        text = rng.choice(BEFORE) + text[:1].lower() + text[1:]
    if rng.random() < 0.45:
        text = text.rstrip("?.! ")
        if rng.random() < 0.3:
            text += rng.choice(AFTER)
    if rng.random() < 0.4:
        text = text.lower()
    if rng.random() < 0.1:
        text = text.replace("'", "").replace("What is", "Whats").replace("what is", "whats")
    return text


def slipped(rng: random.Random, text: str) -> str:
    """The text with a letter that is missing, doubled, wrong or in the wrong place."""
    if len(text) < 4:
        return text
    i = rng.randrange(1, len(text) - 2)
    a, b = text[i], text[i + 1]
    changed = rng.choice((b + a, a, a + a + b, a + rng.choice(LETTERS)))
    return text[:i] + changed + text[i + 2 :]


def written(rng: random.Random, text: str) -> str:
    """The text as people type it: with capital letters or not, hastily, with slips."""
    text = cap(text) if rng.random() < 0.6 else text
    roll = rng.random()
    if roll < 0.45:
        return text
    if roll < 0.72:
        return typed(rng, text)
    if roll < 0.8:
        return text.lower().replace("'", "").rstrip("?.!")
    if roll < 0.84:
        return text.upper()
    if roll < 0.9:
        text = text.lower().rstrip("?.!")
        for long, short in (("you", "u"), ("are", "r"), ("please", "pls"), ("your", "ur"), ("what is", "whats")):
            text = re.sub(rf"\b{long}\b", short, text)
        return text
    return slipped(rng, text)
