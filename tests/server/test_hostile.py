"""A sample of tools/hostile. Its bars on time and memory want a quiet machine: the whole is run by hand."""

from tools.hostile.__main__ import serving
from tools.hostile.grammar import KINDS
from tools.hostile.sending import ORDINARY, in_turn
from tools.hostile.watch import watching
from tools.hostile.wire import send

MEMORY_GIB, SEED, NUM_REQUESTS, AT_ONCE = 3, 2, 36, 4


def test_hostile_requests_are_answered_and_fail_no_ordinary_one():
    numbers = range(NUM_REQUESTS)
    with serving(MEMORY_GIB, slow_s=1.0) as (port, process):
        assert send(port, ORDINARY)[0] == "200"
        with watching(f"http://127.0.0.1:{port}", {}) as seen:
            outcomes = in_turn(port, AT_ONCE, SEED, numbers)
        assert process.is_running() and len(outcomes) == len(numbers)
    assert {outcome.kind for outcome in outcomes} == KINDS.keys()
    assert not [str(outcome) for outcome in outcomes if outcome.is_bad]
    assert not seen.failures and seen.first_s
