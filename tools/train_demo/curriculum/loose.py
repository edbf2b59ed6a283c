"""Facts as people note them: records, lists, halves of sentences, any noun as a subject; asked for from either end."""

import random
from collections.abc import Callable

from . import outside
from .example import a, cap
from .relations import EVENTS, FIELDS, MONEY, PEOPLE_KINDS, ROLES, VERBS, Fact
from .words import (
    ADJECTIVES,
    ANIMALS,
    CITIES,
    COLOURS,
    DAYS,
    FOODS,
    JOBS,
    MONTHS,
    OBJECTS,
    QUALITIES,
    ROOMS,
    code,
    invented,
    people,
    person,
)  # fmt: skip

NOUNS = [*OBJECTS, *ANIMALS, *FOODS, *ROLES, *JOBS, *EVENTS, *ROOMS, *(t for t in outside.THINGS.split() if len(t) > 3)]
RECORDS = """order ticket parcel invoice bill form ward table seat box shelf gate flight class team train bus locker
    drawer account room page level exit tent desk hall cabin lane row section""".split()
LABELS = [*DAYS, *MONTHS, *ROLES, *FIELDS, *OBJECTS, *ROOMS, "first", "second", "third", "last", "north", "south"]
CONTAINERS = [*ROOMS, "bag", "box", "basket", "drawer", "bucket", "cup", "pocket", "car", "boat", "letter", "chest"]
KEPT = ["keeps", "puts", "leaves", "stores", "has"]
LABEL_ASKED = ["What is {x}?", "What is there for {x}?", "{x}?", "What does it say for {x}?", "And {x}?", "find {x}",
               "What is noted for {x}?", "Look for {x}.", "what stands beside {x}", "I need {x}."]  # fmt: skip
FIELD_ASKED = ["What is the {f}?", "the {f}?", "Which {f} is it?", "Tell me the {f}.", "what {f} does it have",
               "What is the {f} of {x}?", "{x}: what {f}?", "Give me the {f} of {x}.",
               "I need the {f} of {x}."]  # fmt: skip
HELD_ASKED = ["What is in the {x}?", "What does the {x} hold?", "what can be found in the {x}",
              "what has the {x} in it",
              "Say what is in the {x}.", "Which thing is in the {x}?"]  # fmt: skip
PLACE_ASKED = ["Where is the {n}?", "Where do I find the {n}?", "where must I look for the {n}",
               "In what is the {n}?"]  # fmt: skip

Sentence = tuple[str, list[Fact]]  # without its full stop


def _noun(rng: random.Random) -> str:
    return rng.choice(NOUNS) if rng.random() < 0.75 else invented(rng).lower()


def _value(rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: code(rng),
            lambda: str(rng.randrange(1, 500)),
            lambda: f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}",
            lambda: f"{rng.randrange(2, 900)} {rng.choice(MONEY)}",
            lambda: person(rng),
            lambda: rng.choice(CITIES),
            lambda: rng.choice(COLOURS),
            lambda: _noun(rng),
            lambda: f"{rng.choice(COLOURS)} {_noun(rng)}",
            lambda: f"{rng.randrange(1, 13)} {rng.choice(('am', 'pm'))}",
        )
    )()


def _fact(statement: str, subject: str, value: str, asked: list[str], **slots: str) -> Fact:
    return Fact(cap(statement), subject, value, tuple(q.format(**slots) for q in asked))


def _list(rng: random.Random, count: int) -> tuple[str, list[tuple[str, Fact]]]:
    """Labels and values, at times under a title."""
    mark = rng.choice((": ", ": ", " - ", " = ", " is "))
    labels = people(rng, count) if rng.random() < 0.3 else [cap(w) for w in rng.sample(LABELS, count)]
    lines, known = [], []
    for label in labels:
        value = _value(rng)
        lines.append(f"{label}{mark}{value}")
        known.append((lines[-1], _fact(lines[-1] + ".", label, value, LABEL_ASKED, x=label)))
    title = rng.choice(("", "", f"{cap(_noun(rng))}s", f"{cap(_noun(rng))}:", "Notes:", "List of things"))
    joint = rng.choice(("\n", "\n", ". ", ", ", "; "))
    text = joint.join(lines) + ("." if joint == ". " else "")
    return f"{title}\n{text}".strip() if joint == "\n" else text, known


def _record(rng: random.Random) -> Sentence:
    """A numbered thing with a few fields."""
    what = f"{rng.choice(RECORDS)} {rng.randrange(2, 9000)}"
    fields = rng.sample(FIELDS, rng.randrange(2, 4))
    values = [_value(rng) for _ in fields]
    joint = rng.choice((" ", ": ", " is "))
    text = cap(f"{what}, " + ", ".join(f"{f}{joint}{v}" for f, v in zip(fields, values, strict=True)))
    return text, [
        _fact(f"the {f} of {what} is {v}.", what, v, FIELD_ASKED, f=f, x=what)
        for f, v in zip(fields, values, strict=True)
    ]


def _halves(rng: random.Random) -> Sentence:
    """What is said of two or three people in one sentence, whose verb or noun is said once."""
    names = people(rng, rng.choice((2, 2, 3)))
    form = rng.randrange(3)
    if form == 0:  # the noun is said once
        field, values = rng.choice(FIELDS + ROLES + OBJECTS), [_value(rng) for _ in names]
        facts = [
            _fact(f"{p}'s {field} is {v}.", p, v, ["What is {p}'s {f}?", "the {f} of {p}?", "Tell me {p}'s {f}.",
                  "which {f} has {p}"], p=p, f=field)
            for p, v in zip(names, values, strict=True)
        ]  # fmt: skip
        parts = [f"{p}'s {field if not i else ''} is {v}".replace("  ", " ") for i, (p, v) in
                 enumerate(zip(names, values, strict=True))]  # fmt: skip
    elif form == 1:  # ages, or whatever one is
        words = [str(rng.randrange(5, 99)) for _ in names] if rng.random() < 0.5 else rng.sample(QUALITIES, len(names))
        ages = words[0].isdigit()
        ask = ["How old is {p}?", "what age is {p}"] if ages else ["How is {p}?", "What is {p} like?", "Who is {w}?"]
        facts = [_fact(f"{p} is {w}.", p, w, ask, p=p, w=w) for p, w in zip(names, words, strict=True)]
        parts = [f.statement[:-1] for f in facts]
    else:
        base, third, past = rng.choice(VERBS)
        verb = rng.choice((third, past))
        nouns = [_noun(rng) for _ in names]
        does = "does" if verb == third else "did"
        facts = [
            _fact(f"{p} {verb} the {n}.", p, n, ["What {d} {p} {b}?", "Who {v} the {n}?", "Which thing {d} {p} {b}?",
                  "the {n} was for whom"][: rng.choice((2, 3))], p=p, n=n, v=verb, d=does, b=base)
            for p, n in zip(names, nouns, strict=True)
        ]  # fmt: skip
        parts = [f"{p} {verb} the {n}" for p, n in zip(names, nouns, strict=True)]
    joint = rng.choice((", ", " and ", ", and ", " but ", "; "))
    return joint.join((", ".join(parts[:-1]), parts[-1])), facts


def _held(rng: random.Random) -> Sentence:
    """Something is in something."""
    box, n = rng.choice(CONTAINERS), _noun(rng)
    thing = f"{rng.choice(ADJECTIVES + COLOURS)} {n}" if rng.random() < 0.5 else n
    statement = rng.choice(
        (f"in the {box} there is {a(thing)}", f"there is {a(thing)} in the {box}", f"the {thing} is in the {box}",
         f"the {box} has {a(thing)} in it", f"{person(rng)} {rng.choice(KEPT)} the {thing} in the {box}")
    )  # fmt: skip
    return cap(statement), [_fact(statement + ".", box, thing, HELD_ASKED + PLACE_ASKED, x=box, n=n)]


def _doing(rng: random.Random) -> Sentence:
    """A thing does something to another one."""
    base, third, past = rng.choice(VERBS)
    n, m = _noun(rng), _noun(rng)
    verb = rng.choice((third, past))
    does = "does" if verb == third else "did"
    asked = ["What {v} the {m}?", "What {d} the {n} {b}?", "which thing {v} the {m}", "Who or what {v} the {m}?"]
    statement = f"the {n} {verb} the {m}"
    return cap(statement), [_fact(statement + ".", n, m, asked, v=verb, m=m, n=n, b=base, d=does)]


def _two_times(rng: random.Random) -> Sentence:
    """One thing, two values."""
    x = _noun(rng)
    first, second = rng.choice(
        (("opens", "closes"), ("starts", "ends"), ("leaves", "arrives"), ("begins", "stops"), ("rises", "sets"))
    )
    v, w = sorted(rng.sample(range(1, 24), 2))
    base = {verb: verb[:-1] for verb in (first, second)}
    facts = [
        _fact(f"the {x} {verb} at {at}.", x, str(at), ["When does the {x} {b}?", "At which hour does the {x} {b}?",
              "when {v} the {x}", "what hour does it {b}"], x=x, b=base[verb], v=verb)
        for verb, at in ((first, v), (second, w))
    ]  # fmt: skip
    return f"The {x} {first} at {v} and {second} at {w}", facts


def _turned(rng: random.Random) -> Sentence:
    """A fact about a person, asked for from its other end."""
    statements, _, value = rng.choice(PEOPLE_KINDS)
    starts = [s for s in statements if s.startswith("{p} ")]
    if not starts:
        return _held(rng)
    p, v, form = person(rng), value(rng), rng.choice(starts)
    statement = form.format(p=p, v=v)
    rest = statement[len(p) : -1]
    asked = [f"Who{rest}?", f"Who is it that{rest}?", f"Which of them{rest}?", f"which person{rest}"]
    return statement[:-1], [Fact(statement, p, p, tuple(asked))]


MAKERS: list[Callable[[random.Random], Sentence]] = [
    _record, _halves, _halves, _held, _doing, _two_times, _turned, _turned,
]  # fmt: skip


def notes(rng: random.Random, count: int) -> tuple[str, list[tuple[str, Fact]]]:
    """(a text, the facts that it says, each behind its line or sentence), about `count` of them; no question fits two
    of them."""
    if rng.random() < 0.3:
        return _list(rng, max(2, count))
    parts: list[str] = []
    known: list[tuple[str, Fact]] = []
    asked: set[str] = set()
    while len(known) < count:
        text, facts = rng.choice(MAKERS)(rng)
        questions = {q for fact in facts for q in fact.questions}
        if not questions & asked:
            asked |= questions
            parts.append(text + ".")
            known += [(text + ".", fact) for fact in facts]
    return rng.choice((" ", " ", "\n")).join(parts), known
