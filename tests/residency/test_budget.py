"""The number of slots follows the memory that is left."""

from kimi_cpu.residency import SlotBudget
from kimi_cpu.residency.budget import REGROW_S, STALLED, STALLED_RESERVE

SLOT = 1000


def test_no_more_slots_are_open_than_there_is_room_to_fill():
    budget = SlotBudget(8, 100, SLOT)
    assert budget.look(1000.0, 0, 60 * SLOT, 0) == 0 and budget.num_open == 60
    assert budget.look(1001.0, 50, 10 * SLOT, 0) == 0 and budget.num_open == 60
    assert budget.look(1002.0, 50, -1, 0) == 0 and budget.num_open == 49, "what is missing is a part of one"
    assert budget.look(1003.0, 49, -50 * SLOT, 0) == 9 * SLOT and budget.num_open == 8


def test_slots_are_opened_again_when_memory_was_not_short_for_minutes():
    budget = SlotBudget(8, 100, SLOT)
    budget.look(1000.0, 100, -70 * SLOT, 0)
    budget.look(1000.0 + REGROW_S - 1, 30, 40 * SLOT, 0)
    assert budget.num_open == 30
    budget.look(1000.0 + REGROW_S, 30, 40 * SLOT, 0)
    assert budget.num_open == 70
    budget.look(1001.0 + REGROW_S, 30, 900 * SLOT, 0)
    assert budget.num_open == 100


def test_processes_that_wait_for_memory_are_left_more():
    budget = SlotBudget(8, 100, SLOT)
    spare = STALLED_RESERVE - 10 * SLOT
    assert budget.look(1000.0, 100, spare, STALLED) == 0 and budget.num_open == 100
    assert budget.look(1001.0, 100, spare, 2 * STALLED) == 0 and budget.num_open == 90
