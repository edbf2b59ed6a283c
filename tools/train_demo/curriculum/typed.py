"""A question as a stranger types it: in small letters, without a question mark, politely, or with a slip."""

import random

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
