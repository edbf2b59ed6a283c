"""Questions over a text that stands in the prompt: who, where, what, at any distance."""

import random

from .example import Example, pick, says, user
from .stories import story
from .words import (
    ADJECTIVES,
    ANIMALS,
    COLOURS,
    FOODS,
    HOBBIES,
    JOBS,
    OBJECTS,
    PEOPLE,
    ROOMS,
    city,
    code,
    invented,
    people,
)

# (statement, questions); {p} is a person or thing of its own, {v} the value asked for
KINDS = [
    ("{p} lives in {v}.", ["Where does {p} live?", "In which city does {p} live?"], lambda r: city(r)),
    ("{p} comes from {v}.", ["Where does {p} come from?"], lambda r: city(r)),
    ("{p} works as a {v}.", ["What is the job of {p}?", "What does {p} work as?"], lambda r: r.choice(JOBS)),
    ("{p} likes {v}.", ["What does {p} like?"], lambda r: r.choice(HOBBIES + FOODS)),
    ("{p} has a {v}.", ["What does {p} have?"], lambda r: f"{r.choice(COLOURS)} {r.choice(OBJECTS)}"),
    ("The code of {p} is {v}.", ["What is the code of {p}?", "Which code does {p} have?"], code),
    ("The password of {p} is {v}.", ["What is the password of {p}?", "Tell me the password of {p}."], code),
    ("{p} is {v} years old.", ["How old is {p}?"], lambda r: str(r.randrange(3, 99))),
    ("The dog of {p} is called {v}.", ["What is the dog of {p} called?"], lambda r: invented(r)),
    ("{p} sits in the {v}.", ["Where does {p} sit?", "Where is {p}?"], lambda r: r.choice(ROOMS)),
    ("The number of {p} is {v}.", ["What is the number of {p}?"], code),
    ("The favourite colour of {p} is {v}.", ["What is the favourite colour of {p}?"], lambda r: r.choice(COLOURS)),
]
THINGS = [  # the same about things, {p} is "colour object"
    ("The {p} is in the {v}.", ["Where is the {p}?", "In which room is the {p}?"], lambda r: r.choice(ROOMS)),
    ("The {p} belongs to {v}.", ["Who owns the {p}?", "To whom does the {p} belong?"], lambda r: invented(r)),
    ("The {p} costs {v} coins.", ["How much does the {p} cost?"], lambda r: str(r.randrange(2, 100))),
]
FRAMES = [
    "{text}\n\n{question}",
    "Read this text: {text}\n\n{question}",
    "Text: {text}\nQuestion: {question}",
    "{text}\n{question}",
    "Here is a text.\n\n{text}\n\nAnswer from the text: {question}",
    "{text} {question}",
]


def facts(rng: random.Random, count: int) -> list[tuple[str, str, str, list[str]]]:
    """(statement, its subject, value, questions); no two statements of a kind about one subject."""
    out = []
    one_kind = rng.random() < 0.4
    kinds = [rng.choice(KINDS + THINGS)] if one_kind else rng.sample(KINDS + THINGS, rng.randrange(2, 6))
    names = people(rng, count)
    things = [
        f"{c} {o}" for c, o in zip(rng.choices(COLOURS, k=4 * count), rng.choices(OBJECTS, k=4 * count), strict=True)
    ]
    things = list(dict.fromkeys(things))
    for i in range(count):
        statement, questions, value = rng.choice(kinds)
        subject = things[i % len(things)] if (statement, questions, value) in THINGS else names[i]
        v = value(rng)
        out.append((statement.format(p=subject, v=v), subject, v, questions))
    return list({statement[1]: statement for statement in out}.values())


def chat(rng: random.Random, words: int | None = None, task: str = "lookup") -> Example:
    """A question over 2 to 15 facts; words: over so many words of facts and stories."""
    count = rng.randrange(2, 13) if words is None else max(4, words // rng.choice((12, 25, 60)))
    known = facts(rng, min(count, 60))
    sentences = [statement for statement, *_ in known]
    if words is not None or rng.random() < 0.15:
        sentences = _among_stories(rng, sentences, words or 60)
    statement, subject, v, questions = rng.choice(known)
    question = rng.choice(questions).format(p=subject)
    text = pick(rng, " ", " ", " ", "\n").join(sentences)
    if rng.random() < 0.1:
        ask = f"{question}\n\n{text}"
    else:
        ask = rng.choice(FRAMES).format(text=text, question=question)
    return Example(
        task, statement + text[:80], [user(ask), says(f"The text says: {statement}", statement)], answers=(v,)
    )


def table(rng: random.Random, words: int | None = None) -> Example:
    """Key-value pairs, a line each."""
    count = rng.randrange(2, 14) if words is None else min(100, max(8, words // 4))
    keys = people(rng, count)
    values = [code(rng) for _ in keys]
    mark = pick(rng, ": ", " = ", " - ")
    i = rng.randrange(count)
    lines = [f"{k}{mark}{v}" for k, v in zip(keys, values, strict=True)]
    text = "\n".join(lines)
    ask = pick(rng, f"What is the value of {keys[i]}?", f"Which value does {keys[i]} have?", f"What is {keys[i]}?")
    thought = f"The line is: {lines[i]}"
    return Example(
        "lookup", lines[i] + text[:60], [user(f"{text}\n\n{ask}"), says(thought, f"{values[i]}")], answers=(values[i],)
    )


def absent(rng: random.Random) -> Example:
    """A question that the text does not answer."""
    known = facts(rng, rng.randrange(2, 7))
    _, _, _, questions = rng.choice(known)
    question = rng.choice(questions).format(p=invented(rng))
    text = " ".join(statement for statement, *_ in known)
    ask = rng.choice(FRAMES).format(text=text, question=question)
    turn = says("The text says nothing about this.", "The text does not say that.")
    return Example("absent", text[:80], [user(ask), turn], answers=("does not say",))


def several(rng: random.Random) -> Example:
    """Several questions over one text, as plain text: look-up with every token counted."""
    known = facts(rng, rng.randrange(3, 10))
    text = " ".join(statement for statement, *_ in known)
    asked = rng.sample(known, min(len(known), 5))
    answers = [f"{rng.choice(q).format(p=p)} {s}" for s, p, _, q in asked]
    return Example("several", text[:60], [{"role": "text", "content": text + "\n\n" + "\n".join(answers)}])


def long(rng: random.Random, low: int = 250, high: int = 2600) -> Example:
    """A question over a long text; word counts between low and high, short ones more often."""
    words = int(low * (high / low) ** rng.random())
    if rng.random() < 0.2:
        return table(rng, min(words, 500))
    return chat(rng, words)


def _among_stories(rng: random.Random, sentences: list[str], words: int) -> list[str]:
    """The sentences, in their order, spread among those of stories."""
    filler: list[str] = []
    need = words - sum(len(s.split()) for s in sentences)
    while need > 0:
        text = story(rng, rng.choice(ANIMALS + PEOPLE), rng.choice(ADJECTIVES), rng.random() < 0.3)
        filler.append(text)
        need -= len(text.split())
    parts = [s for text in filler for s in _cut(text)]
    places = sorted(rng.randrange(len(parts) + 1) for _ in sentences)
    for offset, (place, sentence) in enumerate(zip(places, sentences, strict=True)):
        parts.insert(place + offset, sentence)
    return parts


def _cut(text: str) -> list[str]:
    return [part if part[-1] in '.!?"' else part + "." for part in text.split(". ")]
