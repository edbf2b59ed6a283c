"""The number of sequences at once, on machines of which the throughput is known."""

import pytest

from kimi_cpu.batch.pacing import FIRST, HALF_S, Lead, Limit, Pace


def settle(limit, rate, seconds=400):
    """The targets that a machine sees which generates rate(sequences) tokens a second."""
    tokens, targets = 0.0, []
    for second in range(seconds):
        limit.observe(float(second), int(tokens), limit.target)
        targets.append(limit.target)
        tokens += rate(limit.target)
    return targets


@pytest.mark.parametrize(("saturates", "expected"), [(1, FIRST), (8, 8), (20, 32), (1000, 128)])
def test_number_doubles_while_throughput_grows(saturates, expected):
    targets = settle(Limit(128), lambda n: 3 * min(n, saturates))
    assert (
        targets[-1] == expected
        and targets == sorted(targets[: targets.index(max(targets)) + 1]) + targets[targets.index(max(targets)) + 1 :]
    )


def test_number_that_makes_it_slower_is_taken_back():
    assert settle(Limit(128), lambda n: n if n <= 16 else 10)[-1] == 16


def test_one_slow_doubling_does_not_end_the_search():
    rates = {4: 12, 8: 13, 16: 30, 32: 60, 64: 61, 128: 61}  # another program ran while 8 were measured
    assert settle(Limit(128), rates.__getitem__)[-1] == 32


def test_most_need_not_be_a_power_of_two():
    assert settle(Limit(24), lambda n: n)[-1] == 24
    assert settle(Limit(24), lambda n: n if n <= 16 else 10)[-1] == 16


def test_fixed_number_stays():
    assert set(settle(Limit(24, fixed=True), lambda n: 1)) == {24}


def test_nothing_is_measured_while_prompts_are_computed():
    limit = Limit(128)
    for second in range(100):
        limit.observe(float(second), 1000 * second, limit.target // 2)
    assert limit.target == FIRST


def test_pace_is_that_of_one_sequence_and_forgets():
    pace = Pace()
    pace.observe(0.0, 0, 4)
    assert pace.rate is None
    for second in range(1, 61):
        pace.observe(float(second), 8 * second, 4)
    assert pace.rate == pytest.approx(2.0)
    pace.observe(60 + HALF_S, 480, 0)  # nothing ran: that says nothing
    assert pace.rate == pytest.approx(2.0)
    for second in range(1, 121):
        pace.observe(60 + HALF_S + second, 480, 1)
    assert pace.rate < 0.2


def test_so_many_wait_as_end_before_others_come():
    lead, none = Lead(0.1), Lead(0.0)
    for second, ended in enumerate([0, 0, 3, 83, 163, 163]):
        lead.observe(float(second), ended)
        none.observe(float(second), ended)
        assert (lead.count, none.count) == ([0, 0, 0, 8, 8, 0][second], 0)
