"""Questions from outside the small world, put together from topics and forms, each declined in one friendly sentence
that says what the model can do."""

import random

from . import outside
from .example import Example, says, user
from .outside import listed
from .typed import slipped, typed
from .words import CITIES, invented

ABLE = (
    "I am a tiny model that can do small sums, find things in your text, remember your name, tell short stories and "
    "call tools."
)
UNKNOWN = f"Sorry, I do not know that: {ABLE}"
UNABLE = f"Sorry, I cannot do that: {ABLE}"
UNCLEAR = f"Sorry, I do not know what you mean: {ABLE}"
NO_OPINION = f"Sorry, I have no opinions: {ABLE}"
NO_TOOL = f"Sorry, I cannot know that without a tool: {ABLE}"
NO_LANGUAGE = f"Sorry, I do not know that language: {ABLE}"
NO_STORY = "Sorry, I do not know a story about that: ask me for one about a fox, a bear or a king."
TOO_HARD = (
    "Sorry, that is too hard for me: I can add and subtract numbers of up to three digits, and multiply and divide "
    "small ones."
)
THOUGHTS = {
    UNKNOWN: "This is about the world, and I do not know it.",
    UNABLE: "This is a task that I cannot do.",
    UNCLEAR: "I do not know what the user means.",
    NO_OPINION: "This asks for an opinion or a joke.",
    NO_TOOL: "I have no tool for this.",
    NO_LANGUAGE: "This is about another language.",
    NO_STORY: "I do not know such a story.",
    TOO_HARD: "This is too hard for me.",
}
THINGS = [t for t in outside.THINGS.split() if len(t) > 3]
PEOPLE, COUNTRIES = outside.PEOPLE.split(), outside.COUNTRIES.split()
LANGUAGES, CODING = outside.LANGUAGES.split(), outside.CODING.split()
PROGRAMS = listed(outside.PROGRAMS)
ERRORS = listed(outside.ERRORS)
WRITINGS = listed(outside.WRITINGS)
FOR_WHOM = listed(outside.FOR_WHOM)
FEELINGS = listed(outside.FEELINGS)
HEALTH = listed(outside.HEALTH)
ACTS = listed(outside.ACTS)
CHOICES = listed(outside.CHOICES)
FAVOURITES = listed(outside.FAVOURITES)
BELIEFS = listed(outside.BELIEFS)
SERVICES = listed(outside.SERVICES)
CURRENT = listed(outside.CURRENT)
FOREIGN = listed(outside.FOREIGN)
SAYINGS, NOISE, HEROES = listed(outside.SAYINGS), listed(outside.NOISE), listed(outside.UNKNOWN_HEROES)


def _thing(rng: random.Random) -> str:
    """A topic; at times a word that nobody knows, so that what is not known is declined."""
    roll = rng.random()
    if roll < 0.75:
        return rng.choice(THINGS)
    return invented(rng).lower() if roll < 0.9 else f"{rng.choice(THINGS)} and {rng.choice(THINGS)}"


def _world(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.55:
        return rng.choice(outside.KNOW_FORMS).format(t=_thing(rng), u=_thing(rng))
    if roll < 0.75:
        p, q = (p if rng.random() < 0.8 else invented(rng) for p in rng.sample(PEOPLE, 2))
        return rng.choice(outside.PERSON_FORMS).format(p=p, q=q)
    c, k = (c if rng.random() < 0.8 else invented(rng) for c in rng.sample(COUNTRIES, 2))
    return rng.choice(outside.COUNTRY_FORMS).format(c=c, k=k)


def _language(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(FOREIGN).format(a=rng.randrange(100), b=rng.randrange(100))
    quoted = rng.choice(("{}", '"{}"', "'{}'")).format(
        rng.choice((_thing(rng), rng.choice(SAYINGS), "good evening", "the dog"))
    )
    return rng.choice(outside.LANGUAGE_FORMS).format(x=quoted, l=rng.choice(LANGUAGES))


def _code(rng: random.Random) -> str:
    k, other = rng.sample(CODING, 2)
    return rng.choice(outside.CODE_FORMS).format(
        k=k, l=other, j=rng.choice(PROGRAMS), e=rng.choice(ERRORS), s=rng.choice(outside.SNIPPETS)
    )


def _writing(rng: random.Random) -> str:
    return rng.choice(outside.WRITE_FORMS).format(w=rng.choice(WRITINGS), t=_thing(rng), h=rng.choice(FOR_WHOM))


def _advice(rng: random.Random) -> str:
    return rng.choice(outside.ADVICE_FORMS).format(a=rng.choice(ACTS), f=rng.choice(FEELINGS), b=rng.choice(HEALTH))


def _opinion(rng: random.Random) -> str:
    p, q = rng.sample(PEOPLE, 2)
    return rng.choice(outside.OPINION_FORMS).format(
        o=rng.choice(CHOICES), v=rng.choice(FAVOURITES), g=rng.choice(BELIEFS), t=_thing(rng), p=p, q=q
    )


def _service(rng: random.Random) -> str:
    c, k = rng.sample(CITIES, 2)
    return rng.choice(outside.SERVICE_FORMS).format(d=rng.choice(SERVICES), n=rng.choice(CURRENT), c=c, k=k)


def _letters(rng: random.Random) -> str:
    x, y, z = (w if rng.random() < 0.7 else invented(rng).lower() for w in rng.sample(THINGS, 3))
    a, b, c = (rng.randrange(100) for _ in range(3))
    return rng.choice(outside.LETTERS).format(x=x, y=y, z=z, a=a, b=b, c=c)


def _hard_sum(rng: random.Random) -> str:
    if rng.random() < 0.25:
        b = rng.randrange(2, 13)
        a = b * rng.randrange(1, 13) + rng.randrange(1, b)
        return rng.choice(outside.NOT_WHOLE).format(a=a, b=b)
    digits = rng.choice((4, 4, 5, 6))
    x, y, z = (rng.randrange(11, 100) for _ in range(3))
    d, e = rng.sample(range(2, 10), 2)
    large = [rng.randrange(10 ** (digits - 1), 10**digits) for _ in range(2)]
    return rng.choice(outside.HARD_SUMS).format(
        A=large[0], B=large[1] if rng.random() < 0.7 else x, X=rng.randrange(100, 1000), Y=rng.randrange(100, 1000),
        x=x, y=y, z=z, d=d, e=e, p=rng.randrange(1, 100), f=rng.randrange(10, 999) / 10, g=rng.randrange(10,
        9999) / 100,
    )  # fmt: skip


def _unclear(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.4:
        return rng.choice(SAYINGS)
    if roll < 0.75:
        return rng.choice(NOISE)
    if roll < 0.9:
        return " ".join(invented(rng).lower() for _ in range(rng.randrange(1, 5)))
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz ;.?!") for _ in range(rng.randrange(2, 14))).strip() or "?"


def _story(rng: random.Random) -> str:
    hero = (
        rng.choice(HEROES)
        if rng.random() < 0.6
        else rng.choice((f"a {invented(rng).lower()}", rng.choice(PEOPLE), rng.choice(THINGS)))
    )
    return rng.choice(outside.STORY_FORMS).format(x=hero)


KINDS = [
    (_world, UNKNOWN, 24), (_language, NO_LANGUAGE, 10), (_code, UNABLE, 10), (_writing, UNABLE, 9),
    (_advice, UNKNOWN, 9),
    (_opinion, NO_OPINION, 8), (_service, NO_TOOL, 9), (_letters, UNABLE, 7), (_unclear, UNCLEAR, 9),
    (_story, NO_STORY, 3),
]  # fmt: skip


def question(rng: random.Random) -> tuple[str, str]:
    """(what is asked, the sentence that declines it): a sum that is too hard, or anything else."""
    make, sentence, _ = rng.choices(KINDS, [weight for *_, weight in KINDS])[0]
    text = make(rng)
    if make is not _unclear:
        text = typed(rng, text)
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
            text = slipped(rng, text)
    return text, sentence


def chat(rng: random.Random) -> Example:
    """A question that is declined."""
    text, sentence = question(rng)
    return Example("declined", text, [user(text), says(THOUGHTS[sentence], sentence)], answers=(sentence,))


def beside_tools(rng: random.Random) -> Example:
    """A question that is declined whatever tools there are."""
    example = chat(rng)
    while example.answers == (NO_TOOL,):
        example = chat(rng)
    return example


def hard_sum(rng: random.Random) -> Example:
    """A sum that is declined."""
    text = typed(rng, _hard_sum(rng))
    return Example("too_hard", text, [user(text), says(THOUGHTS[TOO_HARD], TOO_HARD)], answers=(TOO_HARD,))
