"""How often each task comes, and where its held-out questions are drawn from."""

import random
from collections.abc import Callable, Iterator

from . import arithmetic, lookup, small_talk, stories, tools, wordplay
from .example import Example

Maker = Callable[[random.Random], Example]

SHORT: list[tuple[Maker, float]] = [
    (stories.prose, 8),
    (stories.chat, 12),
    (arithmetic.chat, 24),
    (arithmetic.drill, 8),
    (arithmetic.compare, 2),
    (small_talk.chat, 8),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lookup.chat, 16),
    (lookup.table, 4),
    (lookup.absent, 2),
    (lookup.several, 8),
    (wordplay.copy, 6),
    (wordplay.reverse, 3),
    (wordplay.spell, 4),
    (wordplay.sort_numbers, 5),
    (wordplay.sort_words, 3),
    (tools.dates, 4),
    (tools.weather, 7),
    (tools.search, 4),
    (tools.named, 5),
    (tools.any_chain, 4),
    (tools.plan, 1),
    (tools.news, 3),
]
# The same with fewer stories, and with more of what teaches to copy and to add.
CORE: list[tuple[Maker, float]] = [
    (stories.prose, 3),
    (stories.chat, 8),
    (arithmetic.chat, 20),
    (arithmetic.drill, 12),
    (arithmetic.compare, 1),
    (small_talk.chat, 6),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lookup.chat, 18),
    (lookup.table, 4),
    (lookup.absent, 2),
    (lookup.several, 14),
    (wordplay.echo, 10),
    (wordplay.copy, 8),
    (wordplay.reverse, 2),
    (wordplay.spell, 3),
    (wordplay.sort_numbers, 3),
    (wordplay.sort_words, 1),
    (tools.dates, 4),
    (tools.weather, 6),
    (tools.search, 4),
    (tools.named, 6),
    (tools.any_chain, 5),
    (tools.news, 3),
]
# For the second half, when copying is learned: more tools, and some long texts and chains.
TASKS: list[tuple[Maker, float]] = [
    (stories.prose, 3),
    (stories.chat, 8),
    (arithmetic.chat, 16),
    (arithmetic.drill, 5),
    (arithmetic.compare, 2),
    (small_talk.chat, 8),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lookup.chat, 17),
    (lookup.table, 4),
    (lookup.absent, 3),
    (lookup.several, 6),
    (lookup.long, 1.5),
    (wordplay.echo, 3),
    (wordplay.copy, 6),
    (wordplay.reverse, 3),
    (wordplay.spell, 4),
    (wordplay.sort_numbers, 4),
    (wordplay.sort_words, 1),
    (tools.dates, 7),
    (tools.weather, 10),
    (tools.search, 7),
    (tools.named, 7),
    (tools.any_chain, 5),
    (lambda r: tools.chain(r, r.randrange(9, 13)), 0.5),
    (tools.news, 4),
]
MIXES = {"short": SHORT, "core": CORE, "tasks": TASKS}

TESTS: dict[str, Maker] = {  # task -> maker whose held-out examples are its test
    "story": stories.chat,
    "prose": stories.prose,
    "arithmetic": arithmetic.chat,
    "compare": arithmetic.compare,
    "lookup": lookup.chat,
    "lookup_1000": lambda r: lookup.chat(r, 700, "lookup_1000"),
    "lookup_4000": lambda r: lookup.chat(r, 2800, "lookup_4000"),
    "absent": lookup.absent,
    "copy": wordplay.copy,
    "reverse": wordplay.reverse,
    "sort": wordplay.sort_numbers,
    "sort_words": wordplay.sort_words,
    "date": tools.dates,
    "weather": tools.weather,
    "parallel": tools.weather,
    "search": tools.search,
    "named": tools.named,
    "chain3": lambda r: tools.chain(r, 3),
    "chain10": lambda r: tools.chain(r, 10),
    "news": tools.news,
}


SYSTEMS = [
    "You are a helpful assistant.",
    "You are Kimi.",
    "Answer briefly.",
    "You are a friendly assistant.",
    "Be kind.",
]


def _history(rng: random.Random) -> list[dict]:
    """An exchange before the question, as the template shows it later: without its thinking."""
    before = rng.choice((small_talk.chat, arithmetic.chat, wordplay.copy))(rng)
    if before.is_test:
        return []
    *messages, answer = before.messages
    return [*messages, {"role": "assistant", "content": answer["content"]}]


def make(mix: str, seed: int, count: int) -> Iterator[Example]:
    """count training examples. No held-out one is among them."""
    makers, weights = zip(*MIXES[mix], strict=True)
    rng = random.Random(f"{mix} {seed}")
    while count:
        example = rng.choices(makers, weights)[0](rng)
        if not example.is_test:
            count -= 1
            if example.messages[0]["role"] == "user" and rng.random() < 0.06:
                example.messages[:0] = _history(rng)
            if rng.random() < 0.08 and example.messages[0]["role"] == "user":
                example.messages.insert(0, {"role": "system", "content": rng.choice(SYSTEMS)})
            yield example


def held_out(task: str, count: int, seed: int = 0) -> list[Example]:
    """count held-out examples of a task, each another question; fewer where the task has fewer."""
    rng = random.Random(f"test {task} {seed}")
    found: dict[str, Example] = {}
    for _ in range(1000 * count):
        if len(found) == count:
            break
        example = TESTS[task](rng)
        if example.is_test and example.task == task:
            found.setdefault(example.key, example)
    return list(found.values())
