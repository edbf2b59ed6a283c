"""Tasks for the agent as `kimi-cpu agent` begins them: its own declarations, in its order, and no system message."""

import random
from typing import Any

from kimi_cpu.agent import calculator
from kimi_cpu.agent.tool import tool_of

from . import refusals, small_talk, tools
from .arithmetic import is_held_out
from .declarations import declarations
from .example import Calls, Example, results, says, user
from .sum_words import ASK
from .tools import a_date, agents_date
from .typed import typed
from .words import DAYS, MONTHS

DATE_ASKS = [  # (questions, the answer's form)
    ("""What day is it today?|Which day of the week is it?|What weekday is today?|Which day is it?
    |What is the day today?|Is it Monday today?
     |What day is today?|Tell me the weekday.|Name the day of the week.|the weekday?|What day of the week have we got?
     |today is which day|Say what day it is.""", "Today is {day}."),
    ("""What is the date today?|What is today's date?|Which date is it?|What's the date?|Tell me the date.|date please
    |What date do we have?
     |Give me the current date.|I need the date of today.|what is the date now|Which date have we got?
     |Today is which date?|the date of today?
     |Say today's date.""", "Today is {day}, {date}."),
    ("""What time is it?|What is the time?|Tell me the time.|What's the time?|How late is it?|time please
    |Do you know the time?
     |What time do we have?|Give me the current time.|What does the clock say?|current time?|the time now
     |Look at the clock for me.|which hour is it""", "It is {time}."),
    ("""What year is it?|Which year is it?|What is the year?|What year do we have?|Tell me the year.
    |the current year?|Which year have we got?|what year are we in|say the year""", "It is {year}."),
    ("""What month is it?|Which month is it?|What is the month?|What month do we have?|Tell me the month.
    |the current month?|Which month have we got?|what month are we in|say the month""", "It is {month}."),
    ("""What day is tomorrow?|Which weekday is it tomorrow?|Which day comes tomorrow?|Say which day tomorrow is.""",
    "Tomorrow is {after}."),
    ("""What day was yesterday?|Which weekday was it yesterday?|Which day was it yesterday?""",
    "Yesterday was {before}."),
]  # fmt: skip
ASK_CALCULATOR = [
    "What is {e}?", "{e}", "Calculate {e}.", "Compute {e}.", "How much is {e}?", "Use the calculator: {e}",
    "What does {e} give?", "Evaluate {e}.",
    "Work out {e}.", "Tell me the value of {e}.", "{e} = ?", "Can you calculate {e}?", "I need the result of {e}.",
    "What's {e}?", "solve {e}",
    "Call the calculator with {e}.", "Let the calculator do {e}.", "{e}, with the calculator please",
    "what is the value of {e}",
    "Please compute {e} for me.", "You have a calculator: {e}?", "how much does {e} make", "{e} makes what?",
    "I want to know {e}.", "Give me {e}.", "run {e} through your calculator", "Find the result of {e} with a tool.",
]  # fmt: skip
SIGNS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def _tools(rng: random.Random) -> list[dict[str, Any]]:
    """All of them, or the first two, as programs have that bring them themselves."""
    return declarations() if rng.random() < 0.7 else declarations()[:2]


def date(rng: random.Random) -> Example:
    """A question about today, answered from get_date."""
    day = a_date(rng)
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}"
    texts, form = rng.choice(DATE_ASKS)
    weekday, after, before = (DAYS[(day.weekday() + i) % 7] for i in (0, 1, -1))
    written = f"{day.day} {MONTHS[day.month - 1]} {day.year}"
    answer = form.format(
        day=weekday, date=written, time=time, year=day.year, month=MONTHS[day.month - 1], after=after, before=before
    )
    ask, calls = typed(rng, " ".join(rng.choice(texts.split("|")).split())), Calls()
    call = calls.turn("I need the date, so I call get_date.", ("get_date", {}))
    text = agents_date(rng, day, time)
    thought = f"Asked: {ask}\nIt is {weekday}, {written}, {time}."
    messages = [user(ask), call, *results(call, text), says(thought, answer)]
    return Example("agent_date", f"{day}{answer}", messages, _tools(rng), (answer,))


def computed(rng: random.Random) -> Example:
    """An expression for the calculator."""
    expression, text = _expression(rng)
    result = tool_of(calculator).call({"expression": expression}, "")
    calls = Calls()
    call = calls.turn("I let the calculator do this.", ("calculator", {"expression": expression}))
    answer = f"{expression} = {result}."
    messages = [user(text), call, *results(call, str(result)), says("I have the result.", answer)]
    return Example("calculator", expression, messages, _tools(rng), (f"= {result}.",))


def _expression(rng: random.Random) -> tuple[str, str]:
    """An expression, and how it is asked for."""
    most = rng.choice((20, 100, 1000, 10_000, 100_000))
    a, b, c = (rng.randrange(1, most) for _ in range(3))
    op = rng.choice("++--***/")
    if op == "/" and rng.random() < 0.7:
        a = b * rng.randrange(1, 100)
    if is_held_out(a, op, b):
        return _expression(rng)
    if rng.random() < 0.6:
        expression = f"{a} {op} {b}"
        if rng.random() < 0.4:
            return expression, typed(rng, rng.choice(ASK[op]).format(a=a, b=b))
        said = rng.choice((expression, expression.replace(" ", ""), f"{a} {SIGNS[op]} {b}"))
        return expression, typed(rng, rng.choice(ASK_CALCULATOR).format(e=said))
    other = rng.choice("+-*")
    expression = rng.choice(
        (f"({a} {other} {b}) * {c}", f"{a} {other} {b} + {c}", f"{a} * {b} - {c}", f"sqrt({a})", f"{a} ** 2")
    )
    said = expression if rng.random() < 0.6 else expression.replace(" ", "")
    return expression, typed(rng, rng.choice(ASK_CALCULATOR).format(e=said))


def without(rng: random.Random) -> Example:
    """A message that needs none of the tools."""
    example = rng.choice((small_talk.chat, refusals.beside_tools))(rng)
    return Example(example.task, example.key, example.messages, _tools(rng), example.answers)


def news(rng: random.Random) -> Example:
    """The daily report, with tools of a user's own beside the agent's."""
    example = tools.news(rng)
    names = {tool["function"]["name"] for tool in example.tools or ()}
    own = [tool for tool in _tools(rng) if tool["function"]["name"] not in names]
    example.tools = [*own, *(example.tools or ())] if rng.random() < 0.5 else [*(example.tools or ()), *own]
    return example
