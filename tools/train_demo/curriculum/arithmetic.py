"""Sums, differences and products, with the working in the thinking block."""

import random

from .example import Example, pick, says, user
from .words import BOYS, FOODS, GIRLS, OBJECTS

ASK = {
    "+": [
        "What is {a} + {b}?", "What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b} = ?", "{a} + {b}",
        "How much is {a} + {b}?", "Calculate {a} + {b}.", "Add {a} and {b}.", "What is the sum of {a} and {b}?",
        "What's {a} + {b}?", "Compute {a} + {b}.", "what is {a}+{b}", "How much is {a} plus {b}?", "{a}+{b}=?",
    ],
    "-": [
        "What is {a} - {b}?", "What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b} = ?", "{a} - {b}",
        "How much is {a} - {b}?", "Calculate {a} - {b}.", "Subtract {b} from {a}.", "Take {b} away from {a}.",
        "What's {a} - {b}?", "Compute {a} - {b}.", "what is {a}-{b}", "How much is {a} minus {b}?", "{a}-{b}=?",
    ],
    "*": [
        "What is {a} * {b}?", "What is {a} times {b}?", "{a} * {b} = ?", "{a} x {b} = ?", "What is {a} x {b}?",
        "Calculate {a} * {b}.", "Multiply {a} by {b}.", "How much is {a} times {b}?", "What's {a} * {b}?",
        "What is the product of {a} and {b}?", "Compute {a} * {b}.", "{a} * {b}", "what is {a}*{b}",
    ],
}  # fmt: skip
STORIES = {
    "+": [
        "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
        "There are {a} {things} in one box and {b} in another. How many are there together?",
        "{name} buys {a} {things} on Monday and {b} on Tuesday. How many {things} is that?",
    ],
    "-": [
        "{name} has {a} {things} and gives away {b}. How many {things} are left?",
        "There are {a} {things} in a box. {name} takes out {b}. How many are left?",
        "{name} had {a} {things} and lost {b} of them. How many {things} does {name} have now?",
    ],
    "*": [
        "{name} has {a} boxes with {b} {things} each. How many {things} are there?",
        "One box holds {b} {things}. How many {things} are in {a} boxes?",
    ],
}
PLURALS = [w + "s" for w in OBJECTS if w[-1] not in "shxy" and w != "knife"] + [f for f in FOODS if f[-1] == "s"]


def working(a: int, op: str, b: int) -> str:
    """The steps, digit by digit, as they are written into <think>."""
    return {"+": _sum, "-": _difference, "*": _product}[op](a, b)


def value(a: int, op: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b}[op]


def _sum(a: int, b: int) -> str:
    if a < 10 and b < 10:
        return f"{a} + {b} = {a + b}."
    ones = a % 10 + b % 10
    carry, tens = ones // 10, a // 10 + b // 10
    text = f"{a} + {b}. Ones: {a % 10} + {b % 10} = {ones}, write {ones % 10}, carry {carry}. "
    return text + f"Tens: {a // 10} + {b // 10} + {carry} = {tens + carry}. So {a + b}."


def _difference(a: int, b: int) -> str:
    if a < b:
        return f"{a} is less than {b}, so turn it around: {_difference(b, a)} With a minus: {a - b}."
    if a < 10:
        return f"{a} - {b} = {a - b}."
    borrow = int(a % 10 < b % 10)
    ones = a % 10 + 10 * borrow
    text = f"{a} - {b}. Ones: {ones} - {b % 10} = {ones - b % 10}, borrow {borrow}. "
    return text + f"Tens: {a // 10} - {b // 10} - {borrow} = {a // 10 - b // 10 - borrow}. So {a - b}."


def _product(a: int, b: int) -> str:
    if b >= 10 > a:
        return f"{a} * {b} = {b} * {a}. {_product(b, a)}"
    if a < 10:
        return f"{a} * {b} = {a * b}."
    high, low = a // 10 * b * 10, a % 10 * b
    text = f"{a} * {b}. {a // 10} * {b} = {a // 10 * b}, so {a // 10 * 10} * {b} = {high}. {a % 10} * {b} = {low}. "
    return text + f"{_sum_plain(high, low)}"


def _sum_plain(a: int, b: int) -> str:
    return f"{a} + {b} = {a + b}. So {a + b}."


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
    if op == "-" and a < b and rng.random() < 0.75:
        a, b = b, a
    return a, op, b


def chat(rng: random.Random) -> Example:
    """One question."""
    a, op, b = question(rng)
    if rng.random() < 0.2 and (op != "-" or a >= b) and min(a, b) > 1:
        ask = rng.choice(STORIES[op]).format(a=a, b=b, name=rng.choice(GIRLS + BOYS), things=rng.choice(PLURALS))
    else:
        ask = rng.choice(ASK[op]).format(a=a, b=b)
    result = value(a, op, b)
    key = f"{min(a, b)}{op}{max(a, b)}"  # both orders, all phrasings are one question
    return Example(
        "arithmetic", key, [user(ask), says(working(a, op, b), f"{a} {op} {b} = {result}.")], answers=(f"= {result}.",)
    )


def drill(rng: random.Random) -> Example:
    """Many workings in a row as plain text. Held-out questions are left out."""
    lines: list[str] = []
    while len(lines) < 6:
        a, op, b = question(rng)
        probe = Example("arithmetic", f"{min(a, b)}{op}{max(a, b)}", [])
        if not probe.is_test:
            lines.append(working(a, op, b))
    return Example("drill", lines[0], [{"role": "text", "content": "\n".join(lines)}])


def compare(rng: random.Random) -> Example:
    """Which of two numbers is larger or smaller."""
    a, b = rng.sample(range(100), 2)
    larger = rng.random() < 0.5
    word = pick(rng, *(("larger", "bigger", "greater") if larger else ("smaller", "less")))
    best = max(a, b) if larger else min(a, b)
    text = pick(rng, f"Which number is {word}, {a} or {b}?", f"Which is {word}: {a} or {b}?")
    thought = f"{min(a, b)} is less than {max(a, b)}. The {word} one is {best}."
    return Example(
        "compare",
        f"{min(a, b)} {max(a, b)}",
        [user(text), says(thought, f"{best} is {word}.")],
        answers=(f"{best} is",),
    )
