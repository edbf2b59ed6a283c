"""The calculator and the date."""

import math
from datetime import datetime

import pytest

from kimi_cpu.agent import calculator, get_date


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 * (3 + 4) ** 2", 98), ("-7 // 2 + 7 % 4", -1), ("sqrt(2) * pi", math.sqrt(2) * math.pi), ("1 / 8", 0.125)],
)
def test_value_is_pythons(expression, value):
    assert calculator(expression) == str(value)


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "(9 ** 999) ** 999",
        "().__class__",
        "open('x')",
        "'a' * 9",
        "1 +",
        "x",
        "1" * 2000,
        "[1]",
    ]
    + ["1 << 9999999", "(lambda: 1)()", "9 ** 9999 ** 0.5 ** -9"],
)
def test_what_is_no_arithmetic_or_too_much_is_refused(expression):
    with pytest.raises(Exception):  # noqa: B017 - whatever it is, the model is told
        calculator(expression)


def test_date_is_todays():
    assert datetime.now().strftime("%Y") in get_date() and " (UTC" in get_date()
