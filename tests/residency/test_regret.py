"""Belady's hits are the most that there can be, and figures of a window are of its newer half."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_cpu.residency.regret import MOST_SIMULATED, RecentUses, best_hits

from .routings import k2_like


def most_hits(keys, capacity):
    """By trying everything: the most hits for every set of residents that there can be after each use."""
    hits = {frozenset(): 0}
    for key in keys:
        after = {}
        for resident, count in hits.items():
            count += key in resident
            rooms = [resident] + [frozenset(kept) | {key} for kept in combinations(resident, capacity - 1)]
            if len(resident) < capacity:
                rooms.append(resident | {key})
            for room in rooms:
                after[room] = max(after.get(room, 0), count)
        hits = after
    return max(hits.values())


@given(st.lists(st.integers(0, 5), max_size=24), st.integers(1, 4))
def test_no_cache_hits_more_often_than_the_best_one(keys, capacity):
    assert best_hits(np.array(keys, np.int64), capacity).sum() == most_hits(keys, capacity)


def test_figures_are_of_the_newer_half_of_the_uses():
    recent = RecentUses(half_uses=40)
    assert recent.figures(2) is None
    for step in range(8):
        recent.add(np.arange(10) + 10 * step, np.zeros(10, bool))  # each use is of another key
    for _ in range(8):
        recent.add(np.arange(10), np.array([True] * 4 + [False] * 6))
    figures = recent.figures(10)
    assert figures.hit_rate == pytest.approx(0.4)
    assert figures.best_hit_rate == 1.0
    assert figures.regret == pytest.approx(0.6)


def test_a_part_of_the_keys_stands_for_all():
    ids = k2_like(500, layers=16).ids
    keys = (ids + 384 * np.arange(16)[:, None]).astype(np.int64).reshape(-1, 8)
    assert keys.size > 1.5 * MOST_SIMULATED
    is_hit = keys % 10 < 4
    recent = RecentUses(half_uses=keys.size // 2)
    for step in range(len(keys)):
        recent.add(keys[step], is_hit[step])
    capacity = 16 * 384 // 4
    figures, newer = recent.figures(capacity), slice(keys.size // 2, None)
    assert figures.hit_rate == pytest.approx(is_hit.reshape(-1)[newer].mean(), abs=0.02)
    assert figures.best_hit_rate == pytest.approx(best_hits(keys.reshape(-1), capacity)[newer].mean(), abs=0.02)
