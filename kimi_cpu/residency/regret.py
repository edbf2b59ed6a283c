"""How far a cache of experts is from the best one there could be: the hit rate of Belady's optimum over recent uses.

L. A. Belady, "A study of replacement algorithms for a virtual-storage computer" (1966): what is used again latest goes.
An expert that is used again later than all that are there is read, used and not kept.
"""

import heapq
from typing import NamedTuple

import numpy as np

HALF_USES = 1 << 18  # of a window's: 550 tokens of K2
MOST_SIMULATED = 1 << 15  # uses; of more, those of every so-many-th key are simulated, in as small a part of the cache


class Figures(NamedTuple):
    """Hit rates, 0 to 1, of the newer half of a window."""

    hit_rate: float
    best_hit_rate: float  # Belady's, of the same cache

    @property
    def regret(self) -> float:
        """The difference; below 0 when experts had come to the cache before the window began."""
        return self.best_hit_rate - self.hit_rate


class RecentUses:
    """The last uses of experts, and whether they were hits. Written by one thread, read by any."""

    def __init__(self, half_uses: int = HALF_USES):
        self._half_uses = half_uses
        self._halves = _Half(0), _Half(half_uses)  # the older and the newer, replaced together

    def add(self, keys: np.ndarray, is_hit: np.ndarray) -> None:
        """keys i64[n], which differ from each other, and bool[n]."""
        newer = self._halves[1]
        if newer.count + len(keys) > self._half_uses:
            self._halves = newer, _Half(self._half_uses)
            newer = self._halves[1]
        end = newer.count + len(keys)
        newer.keys[newer.count : end] = keys
        newer.is_hit[newer.count : end] = is_hit
        newer.count = end

    def figures(self, capacity: int) -> Figures | None:
        """For a cache of `capacity` experts; None when there was no use. Takes some 50 ms."""
        halves = [(half, half.count) for half in self._halves]
        keys = np.concatenate([half.keys[:count] for half, count in halves])
        is_hit = np.concatenate([half.is_hit[:count] for half, count in halves])
        if not len(keys):
            return None
        every = -(-len(keys) // MOST_SIMULATED)
        simulated = keys % every == 0 if every > 1 else np.ones(len(keys), bool)
        best = best_hits(keys[simulated], max(1, round(capacity / every)))
        counted = slice(np.count_nonzero(simulated[: len(keys) // 2]), None)
        return Figures(float(is_hit[simulated][counted].mean()), float(best[counted].mean()))


def best_hits(keys: np.ndarray, capacity: int) -> np.ndarray:
    """bool[n], the hits of Belady's optimum: uses of keys i64[n], one after the other, in a cache that begins empty."""
    is_hit = np.zeros(len(keys), bool)
    resident: dict[int, int] = {}  # key: when it is used again
    farthest: list[tuple[int, int]] = []  # (-when, key), with some that are past
    for now, (key, again) in enumerate(zip(keys.tolist(), _next_uses(keys).tolist(), strict=True)):
        if key in resident:
            is_hit[now] = True
        elif len(resident) == capacity:
            while resident.get(farthest[0][1]) != -farthest[0][0]:
                heapq.heappop(farthest)
            if -farthest[0][0] <= again:
                continue
            del resident[heapq.heappop(farthest)[1]]
        resident[key] = again
        heapq.heappush(farthest, (-again, key))
    return is_hit


def _next_uses(keys: np.ndarray) -> np.ndarray:
    """i64[n]: when each key is used again, n when it is not."""
    again = np.full(len(keys), len(keys))
    order = np.argsort(keys, kind="stable")
    same = keys[order[:-1]] == keys[order[1:]]
    again[order[:-1][same]] = order[1:][same]
    return again


class _Half:
    """Room for `size` uses, of which the first `count` are there."""

    def __init__(self, size: int):
        self.keys, self.is_hit, self.count = np.zeros(size, np.int32), np.zeros(size, bool), 0
