"""Layers go to stages so that the slowest stage is as fast as it can be: every way to cut them is tried beside it."""

from itertools import combinations, pairwise
from random import Random

import pytest

from kimi_cpu.plan import split

ROOM = 10**9


def slowest(stages, costs, speeds):
    return max(sum(costs[i] for i in layers) / speed for layers, speed in zip(stages, speeds, strict=True))


def all_ways(count, num_stages):
    for cuts in combinations(range(1, count), num_stages - 1):
        yield [range(*edges) for edges in pairwise((0, *cuts, count))]


def fits(stages, sizes, limits):
    return all(sum(sizes[i] for i in layers) <= limit for layers, limit in zip(stages, limits, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_no_way_to_cut_is_faster(seed):
    draw = Random(seed)
    count, num_stages = draw.randint(4, 8), draw.randint(1, 4)
    costs, sizes = [draw.randint(1, 9) for _ in range(count)], [draw.randint(1, 9) for _ in range(count)]
    speeds, limits = [draw.choice([1, 2]) for _ in range(num_stages)], [draw.randint(8, 30) for _ in range(num_stages)]
    found = split(costs, sizes, speeds, limits)
    ways = [way for way in all_ways(count, num_stages) if fits(way, sizes, limits)]
    if found is None:
        assert ways == []
    else:
        assert found in ways
        assert slowest(found, costs, speeds) == min(slowest(way, costs, speeds) for way in ways)


def test_a_faster_stage_gets_more_layers():
    assert split([1.0] * 6, [1] * 6, [2, 1], [ROOM, ROOM]) == [range(0, 4), range(4, 6)]


def test_more_stages_than_layers_do_not_fit():
    assert split([1.0, 1.0], [1, 1], [1, 1, 1], [ROOM] * 3) is None
