"""Sums, differences, products and quotients, with the working in the thinking block."""

import operator
import random

from .example import Example, pick, says, user
from .sum_words import ASK, COMPARE, STORIES
from .typed import typed
from .words import BOYS, FOODS, GIRLS, OBJECTS

PLACES = ("Ones", "Tens", "Hundreds")
PLURALS = [w + "s" for w in OBJECTS if w[-1] not in "shxy" and w != "knife"] + [f for f in FOODS if f[-1] == "s"]


def working(a: int, op: str, b: int) -> str:
    """The steps, digit by digit, as they are written into <think>."""
    return {"+": _sum, "-": _difference, "*": _product, "/": _quotient}[op](a, b)


def value(a: int, op: str, b: int) -> int:
    return {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}[op](a, b)


def _sum(a: int, b: int) -> str:
    if a < 10 and b < 10:
        return f"{a} + {b} = {a + b}."
    text, carry, last = f"{a} + {b}.", 0, len(str(max(a, b))) - 1
    for i, place in enumerate(PLACES[: last + 1]):
        x, y = a // 10**i % 10, b // 10**i % 10
        brought = f" + {carry}" if i else ""
        total = x + y + carry
        carry = total // 10
        text += f" {place}: {x} + {y}{brought} = {total}"
        text += "." if i == last else f", write {total % 10}, carry {carry}."
    return f"{text} So {a + b}."


def _difference(a: int, b: int) -> str:
    if a < b:
        return f"{a} is less than {b}, so turn it around: {_difference(b, a)} With a minus: {a - b}."
    if a < 10:
        return f"{a} - {b} = {a - b}."
    text, borrow, last = f"{a} - {b}.", 0, len(str(a)) - 1
    for i, place in enumerate(PLACES[: last + 1]):
        x, y = a // 10**i % 10, b // 10**i % 10
        lent = int(x - borrow < y)
        taken = f" - {borrow}" if i else ""
        step = f"{x + 10 * lent} - {y}{taken} = {x + 10 * lent - y - borrow}"
        borrow = lent
        text += f" {place}: {step}" + ("." if i == last else f", borrow {borrow}.")
    return f"{text} So {a - b}."


def _product(a: int, b: int) -> str:
    if b >= 10 > a:
        return f"{a} * {b} = {b} * {a}. {_product(b, a)}"
    if a < 10:
        return f"{a} * {b} = {a * b}."
    high, low = a // 10 * b * 10, a % 10 * b
    text = f"{a} * {b}. {a // 10} * {b} = {a // 10 * b}, so {a // 10 * 10} * {b} = {high}. {a % 10} * {b} = {low}. "
    return text + f"{high} + {low} = {a * b}. So {a * b}."


def _quotient(a: int, b: int) -> str:
    return f"{a} / {b}. {b} * {a // b} = {a}. So {a // b}."


def question(rng: random.Random) -> tuple[int, str, int]:
    """Two numbers of up to two digits and what to do; products with one digit, or of the table of 12."""
    op = rng.choice("+++---*")
    if op == "*":
        a, b = rng.randrange(2, 10), rng.randrange(2, 10)
        if rng.random() < 0.4:
            a = rng.randrange(10, 100)
            if rng.random() < 0.3:
                a, b = b, a
        return a, op, b
    a, b = (rng.randrange(10 if rng.random() < 0.2 else 100) for _ in range(2))
    return _mostly_positive(rng, a, op, b)


def longer(rng: random.Random) -> tuple[int, str, int]:
    """A sum or a difference with a number of three digits."""
    op = rng.choice("+-")
    a, b = rng.randrange(100, 1000), rng.randrange(1000 if rng.random() < 0.7 else 100)
    if rng.random() < 0.3:
        a, b = b, a
    return _mostly_positive(rng, a, op, b)


def whole(rng: random.Random) -> tuple[int, str, int]:
    """A quotient that is whole, of the table of 12 or less."""
    b, q = rng.randrange(2, 11), rng.randrange(1, 13)
    return b * q, "/", b


def _mostly_positive(rng: random.Random, a: int, op: str, b: int) -> tuple[int, str, int]:
    if op == "-" and a < b and rng.random() < 0.75:
        a, b = b, a
    return a, op, b


def key(a: int, op: str, b: int) -> str:
    """Both orders, all phrasings are one question."""
    return f"{min(a, b)}{op}{max(a, b)}"


def is_held_out(a: int, op: str, b: int) -> bool:
    """Whether a test asks this, so that no example of another task may say it."""
    return any(Example(task, key(a, op, b), []).is_test for task in ("arithmetic", "long_sum", "quotient"))


def asked(rng: random.Random, a: int, op: str, b: int) -> str:
    """The question in one of many forms."""
    if rng.random() < 0.3 and (op != "-" or a >= b) and min(a, b) > 1:
        name, other = rng.sample(GIRLS + BOYS, 2)
        ask = rng.choice(STORIES[op])
        return typed(rng, ask.format(a=a, b=b, name=name, other=other, things=rng.choice(PLURALS)))
    return typed(rng, rng.choice(ASK[op]).format(a=a, b=b))


def answer(a: int, op: str, b: int) -> str:
    return f"{a} {op} {b} = {value(a, op, b)}."


def _chat(rng: random.Random, task: str, a: int, op: str, b: int) -> Example:
    result = value(a, op, b)
    said = says(working(a, op, b), answer(a, op, b))
    return Example(task, key(a, op, b), [user(asked(rng, a, op, b)), said], answers=(f"= {result}.",))


def chat(rng: random.Random) -> Example:
    """One question with numbers of up to two digits."""
    return _chat(rng, "arithmetic", *question(rng))


def long_sum(rng: random.Random) -> Example:
    """One question with numbers of up to three digits."""
    return _chat(rng, "long_sum", *longer(rng))


def quotient(rng: random.Random) -> Example:
    """One division without a rest."""
    return _chat(rng, "quotient", *whole(rng))


def drill(rng: random.Random) -> Example:
    """Many workings in a row as plain text. Held-out questions are left out."""
    lines: list[str] = []
    while len(lines) < 6:
        a, op, b = rng.choice((question, longer, longer, whole))(rng)
        if not is_held_out(a, op, b):
            lines.append(working(a, op, b))
    return Example("drill", lines[0], [{"role": "text", "content": "\n".join(lines)}])


def compare(rng: random.Random) -> Example:
    """Which of two numbers is larger or smaller."""
    a, b = rng.sample(range(100 if rng.random() < 0.6 else 1000), 2)
    larger = rng.random() < 0.6
    word = pick(rng, *(("larger", "bigger", "greater", "more", "higher") if larger else ("smaller", "less", "lower")))
    best = max(a, b) if larger else min(a, b)
    text = typed(rng, rng.choice(COMPARE).format(word=word, a=a, b=b))
    thought = f"{a} and {b}. {min(a, b)} is less than {max(a, b)}. The {word} one is {best}."
    return Example(
        "compare",
        f"{min(a, b)} {max(a, b)}",
        [user(text), says(thought, f"{best} is {word}.")],
        answers=(f"{best} is",),
    )
