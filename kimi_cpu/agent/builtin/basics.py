"""Tools that touch nothing: the date, and a calculator."""

import ast
import math
from datetime import datetime
from typing import Annotated

from pydantic import Field
from simpleeval import DEFAULT_OPERATORS, SimpleEval

from ..tool import tool

MAX_CHARS = 1000  # of an expression
MAX_BITS = 10_000  # of a power; a result has no more digits than a person reads
FUNCTIONS = ("sqrt", "exp", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "floor", "ceil", "gcd")
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.UAdd, ast.USub)
CONSTANTS = {"pi": math.pi, "e": math.e}


@tool(read_only=True)
def get_date() -> str:
    """Get the current date, weekday and time."""
    return f"{datetime.now().astimezone():%A, %d %B %Y, %H:%M (UTC%z)}"


@tool(read_only=True)
def calculator(expression: Annotated[str, Field(description="As in Python: 2 * (3 + 4) ** 2, sqrt(2)")]) -> str:
    """Evaluate an arithmetic expression."""
    if len(expression) > MAX_CHARS:
        raise ValueError(f"the expression has more than {MAX_CHARS} characters")
    functions = {name: getattr(math, name) for name in FUNCTIONS} | {"abs": abs, "min": min, "max": max, "round": round}
    operators = {kind: DEFAULT_OPERATORS[kind] for kind in OPERATORS} | {ast.Pow: _power}
    value = SimpleEval(operators=operators, functions=functions, names=CONSTANTS).eval(expression)
    if not isinstance(value, int | float):
        raise TypeError(f"the value is {type(value).__name__}, which is no number")
    return str(value)


def _power(base: float, exponent: float) -> float:
    """ValueError: the result would be too long."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise ValueError("the power is too large")
    return base**exponent
