"""The bar of steps says how much time is left."""

import pytest

from kimi_cpu.cli.display import TimeLeft


class Clock:
    """Seconds, set by the test."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_time_is_guessed_before_any_step_is_done_and_goes_by(clock):
    left = TimeLeft(20, 3, clock)
    left.update(0, 16)
    assert str(left) == "0:20"
    clock.now += 15
    assert str(left) == "0:05"
    clock.now += 15
    assert str(left) == "0:00"


def test_time_follows_the_pace_of_the_steps(clock):
    left = TimeLeft(20, 3, clock)
    left.update(0, 16)
    clock.now += 70
    left.update(8, 16)  # an eighth of the work is left
    assert str(left) == "0:10"
    clock.now += 4
    assert str(left) == "0:06"
    left.update(16, 16)
    assert str(left) == "0:00"


def test_equal_steps_take_equal_time(clock):
    left = TimeLeft(20, 1, clock)
    left.update(0, 16)
    clock.now += 90
    left.update(12, 16)
    assert str(left) == "0:30"


def test_what_others_have_done_before_says_nothing_about_the_pace(clock):
    left = TimeLeft(20, 3, clock)
    left.update(8, 16)
    assert str(left) == "0:02"
    clock.now += 70
    left.update(12, 16)  # of the eighth of the work, an eighth is left
    assert str(left) == "0:10"
