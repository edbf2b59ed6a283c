"""Which layers go to which stage."""

from collections.abc import Sequence
from itertools import accumulate


def split(
    costs: Sequence[float], sizes: Sequence[int], speeds: Sequence[float], limits: Sequence[int]
) -> list[range] | None:
    """The layers of each stage: at least one, in order, such that the slowest stage is as fast as it can be.

    costs, sizes: of each layer, seconds on a stage of speed 1, and bytes. speeds, limits: of each stage, the bytes that
    it has room for. None: the layers do not fit.
    """
    cost, size = [0.0, *accumulate(costs)], [0, *accumulate(sizes)]
    count = len(costs)
    slowest = [0.0] + [float("inf")] * count  # of the first stages with the first j layers
    choices: list[list[int]] = []  # where the last of them begins
    for speed, limit in zip(speeds, limits, strict=True):
        begins, reached = [0] * (count + 1), [float("inf")] * (count + 1)
        for end in range(1, count + 1):
            for begin in range(end - 1, -1, -1):
                if size[end] - size[begin] > limit:
                    break
                seconds = max(slowest[begin], (cost[end] - cost[begin]) / speed)
                if seconds < reached[end]:
                    reached[end], begins[end] = seconds, begin
        slowest = reached
        choices.append(begins)
    if slowest[count] == float("inf"):
        return None
    stages, end = [], count
    for begins in reversed(choices):
        stages.append(range(begins[end], end))
        end = begins[end]
    return stages[::-1]
