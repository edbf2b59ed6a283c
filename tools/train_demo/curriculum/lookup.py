"""Questions over a text that stands in the prompt: who, where, what, at any distance."""

import random
from collections.abc import Callable

from .documents_asked import absent_papers, asked_about, papers
from .everyday import absent_everyday, everyday
from .example import Example, cap, pick, said, says, user
from .loose import notes
from .relations import Fact, facts
from .stories import story
from .typed import typed
from .words import ADJECTIVES, ANIMALS, PEOPLE, code, invented, people

FRAMES = [
    "{text}\n\n{question}",
    "Read this text: {text}\n\n{question}",
    "Text: {text}\nQuestion: {question}",
    "{text}\n{question}",
    "Here is a text.\n\n{text}\n\nAnswer from the text: {question}",
    "{text} {question}",
    "{text} {question}",
    "{text} {question}",
    "I give you a text. {text}\nNow my question: {question}",
    "{text}\n---\n{question}",
    "Use the text to answer. Text: {text} Question: {question}",
    'My text is "{text}" {question}',
]
QUESTION_FIRST = [
    "{question}\n\n{text}",
    "{question} {text}",
    "{question} Here is the text: {text}",
    "Question: {question}\nText: {text}",
]
ALSO = ["And {p}?", "What about {p}?", "and {p}", "And what about {p}?", "And for {p}?", "the same for {p}", "{p}?"]
NOT_SAID = "The text does not say that."


def _text(rng: random.Random, sentences: list[str]) -> str:
    """The sentences as one text; at times two of them are joined."""
    out: list[str] = []
    for sentence in sentences:
        if out and rng.random() < 0.12 and out[-1][-1] == "." and len(out[-1]) < 60:
            bound = sentence if not sentence.startswith("The ") else "the " + sentence[4:]
            out[-1] = out[-1][:-1] + pick(rng, " and ", ", ", ", and ", " but ", "; ") + bound
        else:
            out.append(sentence)
    return pick(rng, " ", " ", " ", "\n").join(out)


def _asked(rng: random.Random, text: str, question: str) -> str:
    frames = QUESTION_FIRST if rng.random() < 0.12 else FRAMES
    return rng.choice(frames).format(text=text, question=question)


def _found(question: str, fact: Fact, line: str | None = None) -> dict:
    """The answer: the question is said again in the thought, beside what is looked for, then the line of the text."""
    return says(f"Asked: {question}\nThe text says: {line or fact.statement}", fact.statement)


def _absent(question: str) -> dict:
    return says(f"Asked: {question}\nThe text says nothing about this.", NOT_SAID)


def chat(rng: random.Random, words: int | None = None, task: str = "lookup") -> Example:
    """A question over 2 to 12 facts; words: over so many words of facts and stories. At times there is a second one."""
    count = rng.randrange(2, 13) if words is None else max(4, words // rng.choice((12, 25, 60)))
    known = facts(rng, min(count, 60))
    sentences = [fact.statement for fact in known]
    if words is not None or rng.random() < 0.15:
        sentences = _among_stories(rng, sentences, words or 60)
    fact = rng.choice(known)
    text = _text(rng, sentences)
    question = typed(rng, rng.choice(fact.questions))
    messages = [user(_asked(rng, text, question)), _found(question, fact)]
    return Example(task, fact.statement + text[:80], messages, answers=(fact.value,))


def again(rng: random.Random) -> Example:
    """Two or three questions over one text, one after the other; the later ones may say no more than whom."""
    known = facts(rng, rng.randrange(2, 8))
    text = _text(rng, [fact.statement for fact in known])
    messages: list[dict] = []
    before, question = None, ""
    for fact in rng.sample(known, min(len(known), pick(rng, 2, 2, 3))):
        question = rng.choice(fact.questions)
        if before is not None and _pattern(before) & _pattern(fact):
            question = rng.choice(ALSO).format(p=fact.subject if fact.subject[0].isupper() else f"the {fact.subject}")
        if before is not None:
            messages.append(said(before.statement))
        question = typed(rng, question)
        messages.append(user(_asked(rng, text, question) if before is None else question))
        before = fact
    return Example("again", text[:80], [*messages, _found(question, fact)], answers=(fact.value,))


def noted(rng: random.Random) -> Example:
    """A question over notes of any kind: the line is quoted in the thought, the answer says what was asked; some are
    the second one over their text, some are not answered by it."""
    text, known = notes(rng, rng.randrange(1, 8))
    if rng.random() < 0.12:
        other = rng.choice(notes(rng, 3)[1])[1]
        asked = [q for q in other.questions if other.subject in q]
        if asked and other.subject.lower() not in text.lower():
            question = typed(rng, rng.choice(asked))
            messages = [user(_asked(rng, text, question)), _absent(question)]
            return Example("noted", text[:80], messages, answers=("does not say",))
    *before, (line, fact) = rng.sample(known, min(len(known), pick(rng, 1, 1, 1, 2)))
    question = typed(rng, rng.choice(fact.questions))
    if before:
        first = before[0][1]
        asked = _asked(rng, text, typed(rng, rng.choice(first.questions)))
        messages = [user(asked), said(first.statement), user(question)]
    else:
        messages = [user(_asked(rng, text, question))]
    return Example("noted", line + question, [*messages, _found(question, fact, line)], answers=(fact.value,))


def _freely(task: str, make: Callable[[random.Random, int], tuple[str, list[tuple[str, Fact]]]]) -> Callable:
    """Makes questions over the texts of `make`, of low to high facts: the line is quoted in the thought; some are the
    second one over their text."""

    def example(rng: random.Random, low: int = 1, high: int = 7) -> Example:
        text, known = make(rng, rng.randint(low, high))
        line, fact = rng.choice(known)
        question = typed(rng, rng.choice(fact.questions))
        messages = [user(_put(rng, text, question))]
        first = rng.choice(known)[1]
        if first.statement != fact.statement and rng.random() < 0.25:
            messages = [user(_put(rng, text, typed(rng, rng.choice(first.questions)))), said(first.statement)]
            messages.append(user(question))
        return Example(task, line + question, [*messages, _found(question, fact, line)], answers=(fact.value,))

    return example


everyday_asked, papers_asked = _freely("everyday", everyday), _freely("papers", papers)


def absent_freely(rng: random.Random) -> Example:
    """A question that looks as if such a text answered it."""
    text, question = rng.choice((absent_everyday, absent_papers))(rng)
    question = typed(rng, question)
    messages = [user(_put(rng, text, question)), _absent(question)]
    return Example("absent", text[:80] + question, messages, answers=("does not say",))


def _put(rng: random.Random, text: str, question: str) -> str:
    """A text and a question in one message."""
    return (asked_about if rng.random() < 0.5 else _asked)(rng, text, question)


def _pattern(fact: Fact) -> set[str]:
    """The questions without their subject: facts that share one are of a kind."""
    return {q.replace(fact.subject, "…") for q in fact.questions}


def table(rng: random.Random, words: int | None = None) -> Example:
    """Key-value pairs, a line each."""
    count = rng.randrange(2, 14) if words is None else min(100, max(8, words // 4))
    keys = people(rng, count)
    if rng.random() < 0.4:
        keys = [key.lower() for key in keys]
    values = [code(rng) if rng.random() < 0.7 else invented(rng) for _ in keys]
    mark = pick(rng, ": ", " = ", " - ")
    i = rng.randrange(count)
    lines = [f"{k}{mark}{v}" for k, v in zip(keys, values, strict=True)]
    text = pick(rng, "\n", "\n", "\n", ", ", "; ").join(lines)
    ask = pick(
        rng, f"What is the value of {keys[i]}?", f"Which value does {keys[i]} have?", f"What is {keys[i]}?",
        f"Give me {keys[i]}.", f"What stands beside {keys[i]}?", f"Find {keys[i]} in the list.", f"Look up {keys[i]}.",
    )  # fmt: skip
    ask = typed(rng, ask)
    said = says(f"Asked: {ask}\nThe line is: {lines[i]}", f"{values[i]}")
    return Example("lookup", lines[i] + text[:60], [user(f"{text}\n\n{ask}"), said], answers=(values[i],))


def absent(rng: random.Random) -> Example:
    """A question that the text does not answer: of somebody else, or of something that it does not say."""
    known = facts(rng, rng.randrange(2, 7))
    text = _text(rng, [fact.statement for fact in known])
    people_of = [fact for fact in known if fact.subject[0].isupper()]
    others = [f for f in facts(rng, 8) if f.subject[0].isupper() and not any(_pattern(f) & _pattern(k) for k in known)]
    if others and people_of and rng.random() < 0.6:
        other = rng.choice(others)
        question = rng.choice(other.questions).replace(other.subject, rng.choice(people_of).subject)
    else:
        fact = rng.choice(known)
        question = pick(rng, *(q for q in fact.questions if fact.subject in q), f"How old is {fact.subject}'s brother?")
        question = question.replace(fact.subject, invented(rng))
    question = typed(rng, question)
    messages = [user(_asked(rng, text, question)), _absent(question)]
    return Example("absent", text[:80], messages, answers=("does not say",))


def several(rng: random.Random) -> Example:
    """Several questions over one text, as plain text: look-up with every token counted."""
    known = facts(rng, rng.randrange(3, 10))
    text = _text(rng, [fact.statement for fact in known])
    asked = rng.sample(known, min(len(known), 5))
    answers = [f"{cap(rng.choice(fact.questions))} {fact.statement}" for fact in asked]
    return Example("several", text[:60], [{"role": "text", "content": text + "\n\n" + "\n".join(answers)}])


def long(rng: random.Random, low: int = 250, high: int = 2900) -> Example:
    """A question over a long text; word counts between low and high, short ones more often."""
    words = int(low * (high / low) ** rng.random())
    if rng.random() < 0.15:
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
