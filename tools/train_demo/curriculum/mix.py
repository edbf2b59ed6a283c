"""How often each task comes, and where its held-out questions are drawn from."""

import random
from collections.abc import Callable, Iterator

from . import (
    agent_tools,
    arithmetic,
    cities_freely,
    conversation,
    lookup,
    met_freely,
    refusals,
    reworded,
    small_talk,
    stories,
    sums_freely,
    told_freely,
    tools,
    wordplay,
)
from .example import Example, said

Maker = Callable[[random.Random], Example]


def _unthought(maker: Maker) -> Maker:
    """Makes a maker's examples, some without a thought before the answer."""

    def make(rng: random.Random) -> Example:
        example = maker(rng)
        if rng.random() < 0.15:
            example.messages[-1]["reasoning_content"] = ""
        return example

    return make


def _any_words(maker: Maker) -> Maker:
    return _unthought(reworded.reworded(maker))


SHORT: list[tuple[Maker, float]] = [
    (stories.prose, 6),
    (stories.chat, 10),
    (arithmetic.chat, 12),
    (arithmetic.long_sum, 8),
    (arithmetic.quotient, 3),
    (arithmetic.drill, 6),
    (arithmetic.compare, 2),
    (conversation.name, 4),
    (conversation.fact, 4),
    (conversation.never_named, 0.5),
    (conversation.sums, 5),
    (small_talk.chat, 6),
    (refusals.chat, 16),
    (refusals.hard_sum, 5),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lookup.chat, 16),
    (lookup.again, 4),
    (lookup.table, 3),
    (lookup.absent, 4),
    (lookup.several, 6),
    (wordplay.copy, 5),
    (tools.dates, 3),
    (tools.weather, 8),
    (tools.search, 4),
    (tools.named, 5),
    (tools.any_chain, 4),
    (tools.plan, 1),
    (tools.news, 3),
    (agent_tools.date, 3),
    (agent_tools.computed, 4),
    (agent_tools.without, 2),
]
# The same with fewer stories, and with more of what teaches to copy and to add.
CORE: list[tuple[Maker, float]] = [
    (stories.prose, 3),
    (stories.chat, 7),
    (arithmetic.chat, 12),
    (arithmetic.long_sum, 6),
    (arithmetic.quotient, 3),
    (arithmetic.drill, 12),
    (arithmetic.compare, 1),
    (conversation.name, 3),
    (conversation.fact, 3),
    (conversation.sums, 3),
    (small_talk.chat, 5),
    (refusals.chat, 10),
    (refusals.hard_sum, 3),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lookup.chat, 8),
    (reworded.reworded(lookup.chat), 12),
    (reworded.reworded(lookup.everyday_asked), 8),
    (reworded.reworded(lookup.papers_asked), 6),
    (lookup.again, 3),
    (lookup.table, 4),
    (lookup.absent, 3),
    (reworded.reworded(lookup.several), 14),
    (wordplay.echo, 4),
    (reworded.echo, 8),
    (reworded.reworded(wordplay.copy), 7),
    (tools.dates, 3),
    (tools.weather, 7),
    (tools.search, 4),
    (tools.named, 6),
    (tools.any_chain, 5),
    (tools.news, 3),
    (agent_tools.date, 2),
    (agent_tools.computed, 3),
    (agent_tools.without, 1),
]
# For the rest, when copying is learned: more tools, some long texts and chains, and answers without a thought.
TASKS: list[tuple[Maker, float]] = [
    (stories.prose, 2),
    (_unthought(stories.chat), 9),
    (_unthought(arithmetic.chat), 10),
    (arithmetic.long_sum, 8),
    (arithmetic.quotient, 5),
    (arithmetic.drill, 4),
    (_unthought(arithmetic.compare), 4),
    (_unthought(conversation.name), 4),
    (_any_words(conversation.name), 5),
    (_unthought(conversation.fact), 3),
    (_any_words(conversation.fact), 6),
    (_unthought(told_freely.name), 6),
    (_any_words(told_freely.name), 4),
    (_unthought(told_freely.fact), 5),
    (_any_words(told_freely.fact), 4),
    (conversation.never_named, 0.7),
    (conversation.sums, 5),
    (_unthought(sums_freely.story), 11),
    (_unthought(sums_freely.plain), 8),
    (_unthought(sums_freely.compare), 3),
    (_unthought(sums_freely.follow_up), 7),
    (_unthought(small_talk.chat), 8),
    (_unthought(met_freely.chat), 8),
    (_unthought(refusals.chat), 12),
    (_unthought(met_freely.declined), 12),
    (_unthought(refusals.hard_sum), 8),
    (lambda r: tools.not_needed(r, small_talk.chat(r)), 1),
    (lambda r: tools.not_needed(r, arithmetic.chat(r)), 1),
    (lambda r: tools.not_needed(r, refusals.hard_sum(r)), 0.5),
    (lambda r: tools.not_needed(r, refusals.beside_tools(r)), 1.5),
    (lambda r: tools.not_needed(r, met_freely.beside_tools(r)), 1.5),
    (_unthought(lookup.chat), 6),
    (_any_words(lookup.chat), 12),
    (lookup.again, 4),
    (_any_words(lookup.again), 7),
    (lookup.table, 3),
    (lookup.absent, 3),
    (_any_words(lookup.absent), 4),
    (reworded.reworded(lookup.several), 6),
    (lookup.noted, 6),
    (_any_words(lookup.noted), 12),
    (_unthought(lookup.everyday_asked), 14),
    (_any_words(lookup.everyday_asked), 18),
    (lambda r: lookup.everyday_asked(r, 8, 60), 3),
    (_unthought(lookup.papers_asked), 12),
    (_any_words(lookup.papers_asked), 14),
    (lambda r: lookup.papers_asked(r, 8, 60), 3),
    (_unthought(lookup.absent_freely), 8),
    (_any_words(lookup.absent_freely), 6),
    (lookup.long, 4),
    (reworded.reworded(lookup.long), 4),
    (reworded.echo, 10),
    (_any_words(wordplay.copy), 7),
    (tools.dates, 5),
    (tools.weather, 11),
    (cities_freely.weather, 11),
    (cities_freely.date, 3),
    (cities_freely.clock, 3),
    (cities_freely.search, 4),
    (cities_freely.named, 4),
    (tools.search, 6),
    (tools.named, 7),
    (tools.any_chain, 5),
    (lambda r: tools.chain(r, r.randrange(9, 13)), 0.7),
    (tools.news, 4),
    (agent_tools.news, 5),
    (agent_tools.date, 5),
    (agent_tools.computed, 5),
    (agent_tools.without, 3),
]
MIXES = {"short": SHORT, "core": CORE, "tasks": TASKS}

TESTS: dict[str, Maker] = {  # task -> maker whose held-out examples are its test
    "story": stories.chat,
    "prose": stories.prose,
    "arithmetic": arithmetic.chat,
    "long_sum": arithmetic.long_sum,
    "quotient": arithmetic.quotient,
    "compare": arithmetic.compare,
    "name": conversation.name,
    "told": conversation.fact,
    "sums": conversation.sums,
    "lookup": lookup.chat,
    "lookup_1000": lambda r: lookup.chat(r, 700, "lookup_1000"),
    "lookup_4000": lambda r: lookup.chat(r, 2800, "lookup_4000"),
    "again": lookup.again,
    "absent": lookup.absent,
    "noted": lookup.noted,
    "everyday": lookup.everyday_asked,
    "papers": lookup.papers_asked,
    "copy": wordplay.copy,
    "declined": refusals.chat,
    "too_hard": refusals.hard_sum,
    "date": tools.dates,
    "weather": tools.weather,
    "parallel": tools.weather,
    "search": tools.search,
    "named": tools.named,
    "chain3": lambda r: tools.chain(r, 3),
    "chain10": lambda r: tools.chain(r, 10),
    "news": tools.news,
    "agent_date": agent_tools.date,
    "calculator": agent_tools.computed,
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
    before = rng.choice((small_talk.chat, arithmetic.chat, refusals.chat, stories.chat))(rng)
    if before.is_test:
        return []
    *messages, answer = before.messages
    return [*messages, said(answer["content"])]


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
