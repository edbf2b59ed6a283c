"""Questions of arithmetic: those within the model's reach, and those beyond it that look like them."""

import random

from .question import Question, Turn, number

SUMS = [
    ("could you add up {a} and {b} for me", "+"),
    ("{a} and {b} make how many?", "+"),
    ("Quick: {a} plus {b}?", "+"),
    ("whats the total of {a} and {b}", "+"),
    ("I paid {a} euros yesterday and {b} euros today. What did I spend altogether?", "+"),
    ("if i walk {a} steps and then {b} steps, how many steps did i walk", "+"),
    ("Please work out {a} + {b} .", "+"),
    ("can you do {a}+{b}", "+"),
    ("{a} people came by train, {b} by bus. How many people came?", "+"),
    ("Put {a} and {b} together.", "+"),
    ("So, {a} + {b} is...", "+"),
    ("My score was {a}, then I won {b} points. What is my score?", "+"),
    ("How far apart are {b} and {a}?", "-"),
    ("{a} take away {b}", "-"),
    ("I had {a} dollars and spent {b}. What do I have left?", "-"),
    ("work out {a} - {b} please", "-"),
    ("can you do {a}-{b}", "-"),
    ("A film is {a} minutes long and I have seen {b} minutes. How many minutes remain?", "-"),
    ("whats left if i remove {b} from {a}", "-"),
    ("{b} less than {a} is what?", "-"),
    ("By how much is {a} more than {b}?", "-"),
    ("So, {a} - {b} is...", "-"),
]
PRODUCTS = [
    ("{a} times {b}, please", "*"),
    ("whats {a} multiplied with {b}", "*"),
    ("can you do {a}x{b}", "*"),
    ("{a} packs of {b} pens. How many pens do I get?", "*"),
    ("A week of work: {a} days with {b} hours each. How many hours in all?", "*"),
    ("Do you know {a} × {b}?", "*"),
    ("{a} groups of {b} make how many?", "*"),
    ("{b} taken {a} times", "*"),
    ("what do I get if I multiply {a} and {b}", "*"),
    ("tell me {a}*{b}", "*"),
]
QUOTIENTS = [
    "Share {c} sweets fairly between {a} children. How many sweets for each?",
    "{c} over {a} =",
    "can you do {c}/{a}",
    "how many times does {a} go into {c}",
    "Split {c} by {a}.",
    "whats {c} divided by {a}",
    "{c} ÷ {a}",
    "I cut a rope of {c} metres into {a} equal pieces. How long is a piece?",
]
COMPARED = [
    ("{a} or {b}, which one is more?", max),
    ("tell me the bigger one: {a}, {b}", max),
    ("Is {a} or {b} the smaller number?", min),
    ("whats higher {a} or {b}", max),
]
BEYOND = [
    ("Can you manage {x} + {y}?", lambda x, y: x + y, 1000, 9999, 1000, 9999),
    ("{x} minus {y} please", lambda x, y: x - y, 50_000, 99_999, 1000, 9999),
    ("add up {x} and {y}", lambda x, y: x + y, 100_000, 999_999, 100_000, 999_999),
    ("multiply {x} with {y} for me", lambda x, y: x * y, 12, 99, 13, 99),
    ("whats {x}x{y}", lambda x, y: x * y, 12, 99, 13, 99),
    ("{x} times {y}, please", lambda x, y: x * y, 100, 999, 100, 999),
]
LONG = [
    ("What is the square root of 1764?", number(42)),
    ("How much is 15% of 80?", number(12)),
    ("can you do 4871 / 37", "131[.,]6"),
    ("whats 100 divided by 7", r"14[.,]2|14 (and|remainder|r)"),
    ("Split 50 by 8.", r"6[.,]25|6 (and|remainder|r)"),
    ("2 to the power of 10?", number(1024)),
    ("Solve x^2 - 5x + 6 = 0", "2.*3"),
    ("3/4 + 1/8 = ?", r"7/8|0[.,]875"),
    ("How much is 12.5 + 7.25?", "19[.,]75"),
    ("what's 5 factorial", number(120)),
]


def questions() -> list[Question]:
    """Sums, differences, products, quotients, comparisons, and what is too hard: a fixed choice of numbers."""
    rng = random.Random("examination of arithmetic")
    out = []
    for i, (text, op) in enumerate(SUMS + SUMS[1::11]):
        low, high = (100, 500) if i % 2 else (11, 100)
        a, b = rng.randrange(low, high), rng.randrange(11, high)
        a, b = (max(a, b) + 1, min(a, b)) if op == "-" else (a, b)
        out.append(_asked("sums", text, a + b if op == "+" else a - b, a=a, b=b))
    for text, _ in PRODUCTS:
        a, b = rng.randrange(2, 10), rng.randrange(2, 10)
        out.append(_asked("products", text, a * b, a=a, b=b))
    for text in QUOTIENTS:
        a, b = rng.randrange(2, 10), rng.randrange(2, 10)
        out.append(_asked("quotients", text, b, a=a, c=a * b))
    for text, choose in COMPARED:
        a, b = rng.sample(range(10, 1000), 2)
        best, other = choose(a, b), a + b - choose(a, b)
        right = rf"^\D*{best}\D*$|\b{best} is\b|{best}\D*than {other}"
        out.append(Question("compare", (Turn(text.format(a=a, b=b), (right,)),)))
    for text, value, a, b, c, d in BEYOND:
        x, y = rng.randrange(a, b), rng.randrange(c, d)
        out.append(_asked("too hard sums", text, value(x, y), may_decline=True, x=x, y=y))
    out += [Question("too hard sums", (Turn(text, (right,), may_decline=True),)) for text, right in LONG]
    return out


def _asked(kind: str, text: str, value: int, may_decline: bool = False, **numbers: int) -> Question:
    return Question(kind, (Turn(text.format(**numbers), (number(value),), may_decline=may_decline),))
