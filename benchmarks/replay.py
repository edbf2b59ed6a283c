"""Hit rates of replacement policies on routings replayed, beside Belady's optimum. Writes results-residency.md.

    pip install libcachesim
    python benchmarks/replay.py [--layers 12] [--tokens 2000] [--recorded FILE]

A pool of experts of all layers has room for a share of them; the first third of the tokens fills it and is not counted.
LRU, S3-FIFO and ARC are libcachesim's. The others may read an expert, use it and not keep it. Ours also knows the
scores of experts that were not chosen. "Best prediction" knows besides from what processes the scores are drawn, and
keeps the experts whose next score is expected to be highest: what is between it and Belady's optimum, which knows the
future, cannot be learned from the past. Of independent draws no policy can hit more than the share that fits. A
recorded routing has a line of JSON for each token, {"layers": [[ids of the first layer], …]}, and no scores.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import libcachesim
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.machine import card, put_part  # noqa: E402
from kimi_cpu.residency.policy import Policy  # noqa: E402
from kimi_cpu.residency.regret import best_hits  # noqa: E402
from tests.residency.replay import ONE, replay  # noqa: E402
from tests.residency.routings import (  # noqa: E402
    NOISE,
    POPULARITY,
    PROCESSES,
    Routed,
    flat,
    independent,
    k2_like,
    recorded,
)

RESULTS = Path(__file__).with_name("results-residency.md")
SHARES = (0.03, 0.06, 0.12, 0.25, 0.40, 0.60)
NUM_EXPERTS = 384
COUNTED_HALF_LIVES = (2, 16, 128)  # tokens
K2_LAYERS, K2_TOP_K = 60, 8
SCORED = "averages and scores (ours)"
BEST_PREDICTION = "best prediction"
DOMAIN = (POPULARITY, 1 - 1 / 1250)  # popularity as a process that lasts as long as a domain, on average

Hits = Callable[[Routed, int, int], np.ndarray]  # (a routing, experts of a layer, room in all) -> bool[T, layers, k]


class DecayedCounts(Policy):
    """Worth is a sum of decayed counts: a long half-life weighs as much more as it is longer."""

    def __init__(self, num_layers: int, num_experts: int, top_k: int):
        super().__init__(num_layers, num_experts, top_k)
        self._counts = np.zeros((num_layers, len(COUNTED_HALF_LIVES), num_experts), np.float32)
        self._decay = 0.5 ** (1 / np.array(COUNTED_HALF_LIVES, np.float32))[:, None]

    def use(self, layer: int, experts: np.ndarray, tokens: np.ndarray, scores: np.ndarray | None) -> None:
        self._counts[layer] *= self._decay
        self._counts[layer][:, experts] += tokens
        self._set_worth(layer, self._counts[layer].sum(axis=0))


class BestPrediction(Policy):
    """Worth is the expected next score of an expert, by a Kalman filter over the processes that scores are sums of."""

    processes = PROCESSES

    def __init__(self, num_layers: int, num_experts: int, top_k: int):
        super().__init__(num_layers, num_experts, top_k)
        std, self._lasting = self.processes.T
        drawn, kept = np.diag(std**2 * (1 - self._lasting**2)), np.diag(self._lasting)
        error = np.diag(std**2)  # of the states, before a score is seen
        for _ in range(3000):
            self._gain = error.sum(axis=1) / (error.sum() + NOISE**2)
            error = kept @ (error - np.outer(self._gain, error.sum(axis=0))) @ kept + drawn
        self._states = np.zeros((num_layers, len(std), num_experts))  # before the next score

    def use(self, layer: int, experts: np.ndarray, tokens: np.ndarray, scores: np.ndarray | None) -> None:
        assert scores is not None
        states = self._states[layer]
        states += self._gain[:, None] * (scores[0] - states.sum(axis=0))
        states *= self._lasting[:, None]
        self._set_worth(layer, states.sum(axis=0).astype(np.float32))


class BestPredictionOfDomains(BestPrediction):
    """The same where some experts are popular for as long as a domain lasts."""

    processes = np.vstack([PROCESSES, DOMAIN])


def ours(kind: type[Policy], with_scores: bool) -> Hits:
    """The hits of a policy that knows the router's scores, or does not."""

    def hits(routing: Routed, num_experts: int, capacity: int) -> np.ndarray:
        _, layers, k = routing.ids.shape
        known = routing if with_scores else Routed(routing.ids, None)
        return replay(kind(layers, num_experts, k), known, num_experts, capacity)

    return hits


def others(kind: type[libcachesim.CacheBase]) -> Hits:
    """The hits of one of libcachesim's caches."""

    def hits(routing: Routed, num_experts: int, capacity: int) -> np.ndarray:
        cache, request = kind(capacity), libcachesim.Request()
        request.obj_size = 1
        is_hit = []
        for key in keys_of(routing, num_experts).tolist():
            request.obj_id = key
            is_hit.append(cache.get(request))
        return np.array(is_hit, bool).reshape(routing.ids.shape)

    return hits


def best(routing: Routed, num_experts: int, capacity: int) -> np.ndarray:
    """The hits of Belady's optimum."""
    return best_hits(keys_of(routing, num_experts), capacity).reshape(routing.ids.shape)


POLICIES: dict[str, Hits] = {
    "LRU": others(libcachesim.LRU),
    "S3-FIFO": others(libcachesim.S3FIFO),
    "ARC": others(libcachesim.ARC),
    "decayed counts": ours(DecayedCounts, with_scores=False),
    "decayed averages": ours(Policy, with_scores=False),
    SCORED: ours(Policy, with_scores=True),
    "Belady": best,
}


def keys_of(routing: Routed, num_experts: int) -> np.ndarray:
    """i64[T * layers * k], in the order of use."""
    layers = np.arange(routing.ids.shape[1])[:, None]
    return (routing.ids + layers * num_experts).astype(np.int64).reshape(-1)


def table(routing: Routed, num_experts: int, prediction: type[Policy] | None = None) -> list[str]:
    """Rows of Markdown: hit rates by policy and share, and the regret of ours and of the best prediction."""
    policies = {name: hits for name, hits in POLICIES.items() if name != SCORED or routing.scores is not None}
    if prediction is not None:
        policies[BEST_PREDICTION] = ours(prediction, with_scores=True)
    rates: dict[str, list[float]] = {name: [] for name in policies}
    counted = slice(len(routing.ids) // 3, None)
    for share in SHARES:
        capacity = int(share * routing.ids.shape[1] * num_experts)
        for name, hits in policies.items():
            rates[name].append(100 * float(hits(routing, num_experts, capacity)[counted].mean()))
    best_of_ours = rates.get(SCORED, rates["decayed averages"])
    regret = {"our regret": best_of_ours, "regret of the best prediction": rates.get(BEST_PREDICTION)}
    regrets = {
        name: [b - o for b, o in zip(rates["Belady"], of, strict=True)] for name, of in regret.items() if of is not None
    }
    lines = ["| experts that fit | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |"]
    lines.append("|---|" + "---|" * len(SHARES))
    for name, values in (rates | regrets).items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")
    return lines


def bookkeeping() -> list[str]:
    """What our policy costs at K2's size, a token of which a third misses: medians of 30 tokens."""
    policy = Policy(K2_LAYERS, NUM_EXPERTS, K2_TOP_K)
    rng, missing = np.random.default_rng(0), K2_LAYERS * K2_TOP_K // 3
    for key in rng.choice(K2_LAYERS * NUM_EXPERTS, K2_LAYERS * NUM_EXPERTS // 4, replace=False).tolist():
        policy.admit(key)
    use_s, victims_s = [], []
    routing = independent(30, K2_LAYERS)
    assert routing.scores is not None
    for ids, scores in zip(routing.ids, routing.scores, strict=True):
        begin = time.perf_counter()
        for layer in range(K2_LAYERS):
            policy.use(layer, ids[layer], ONE[:K2_TOP_K], scores[layer, None])
        middle = time.perf_counter()
        for key in range(missing):
            gone = policy.victim(-1, frozenset())
            assert gone is not None
            policy.admit(gone if key % 2 else key)
        use_s.append(middle - begin)
        victims_s.append(time.perf_counter() - middle)
    use_ms, victims_ms = (1000 * float(np.median(seconds)) for seconds in (use_s, victims_s))
    return [
        f"A token of {K2_LAYERS} layers costs {use_ms:.2f} ms to take in, and {victims_ms:.2f} ms for its {missing} "
        "victims among 5,760 residents."
    ]


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--recorded", type=Path)
    given = parser.parse_args()
    size = f"{given.tokens:,} tokens, {given.layers} layers of {NUM_EXPERTS} experts, of which each token uses 8."
    made = {
        "Like K2's, with changes of domain": (k2_like, BestPredictionOfDomains),
        "Flat, with locality": (flat, BestPrediction),
        "Independent draws": (independent, None),
    }
    put_part(RESULTS, "Experts that stay: hit rates in %", "Machine", card(["numpy", "libcachesim"]))
    put_part(RESULTS, "", "Bookkeeping", bookkeeping())
    for title, (make, prediction) in made.items():
        rows = table(make(given.tokens, given.layers), NUM_EXPERTS, prediction)
        print(title, *rows, sep="\n")
        put_part(RESULTS, "", title, [size, "", *rows])
    if given.recorded:
        routing = recorded(given.recorded)
        num_experts = int(routing.ids.max()) + 1
        rows = table(routing, num_experts)
        print(given.recorded.name, *rows, sep="\n")
        about = (
            f"{given.recorded.name}: {len(routing.ids)} tokens, {routing.ids.shape[1]} layers of {num_experts} experts."
        )
        put_part(RESULTS, "", "Recorded", [about, "", *rows])


if __name__ == "__main__":
    main()
