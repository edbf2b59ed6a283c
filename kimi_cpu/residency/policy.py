"""Which experts stay in memory: the ones that the router is likely to use next.

What an expert is worth is the sum of four decayed averages of its use, and of how near it came to being chosen of late:
the router scores all experts, and those that just missed are the ones that come next. A key names an expert of a layer:
layer * num_experts + expert.
"""

import math
from collections.abc import Set

import numpy as np

HALF_LIVES = (1, 4, 16, 64)  # tokens, of averages of use; benchmarks/results-residency.md compares them with others
SCORE_HALF_LIVES = (1, 8)  # tokens, of averages of scores
SCORED_TOKENS = 64  # of a step at most, evenly spaced
ERRORS = 100  # that the size of a layer's errors is an average of
LEAST_VARIANCE = 1e-12  # scores that never change are no reason to divide by 0
PROMPT_TOKENS = 64  # a step of more tokens is taken for a piece of a prompt, one of fewer for one token each of many
USES, SCORES = -2, -1  # rows after the averages
COLDEST = -1  # no key: asks for a victim in any case


class Policy:
    """The worth of every expert, and the least worthy ones among those that are resident.

    A layer's values change when its routing is known, once a step; those of layers above it are of the step before.
    """

    def __init__(self, num_layers: int, num_experts: int, top_k: int):
        """Layers count as in the model; those without experts are never used."""
        self.worth = np.zeros((num_layers, num_experts), np.float32)
        self._top_k = top_k
        half_lives = np.array(HALF_LIVES + SCORE_HALF_LIVES, np.float32)
        self._kept = np.float32(0.5) ** (1 / half_lives)  # of an average, a token later
        self._is_of_scores = np.arange(len(half_lives)) >= len(HALF_LIVES)  # bool[averages]
        self._step = self._of_a_step(self._kept)
        self._sums = np.stack([~self._is_of_scores, self._is_of_scores / len(SCORE_HALF_LIVES)]).astype(np.float32)
        # The averages of a layer, and two rows: the shares of a step's tokens, which become the sum of their averages,
        # and the margins of its scores, which become the mean of theirs, what is expected of the next ones.
        self._known = np.zeros((num_layers, len(half_lives) + 2, num_experts), np.float32)
        self._num_steps = [0] * num_layers  # with scores
        self._variance = [1.0] * num_layers  # of a margin minus what was expected
        self._absence = np.full((num_layers, num_experts), np.inf, np.float32)  # 0: resident
        self._resident_worth = self.worth + self._absence
        self._flat_worth, self._flat_absence = self.worth.reshape(-1), self._absence.reshape(-1)  # by key
        self._flat_resident_worth = self._resident_worth.reshape(-1)

    @property
    def heat(self) -> np.ndarray:
        """f32[layers, experts]: the part of late tokens that used each expert, the longest of the averages."""
        return self._known[:, len(HALF_LIVES) - 1].copy()

    def warm(self, heat: np.ndarray) -> None:
        """Goes on where another run ended: heat f32[layers, experts]."""
        self._known[:, len(HALF_LIVES) - 1] = heat
        for layer, worth in enumerate(heat):
            self._set_worth(layer, worth)

    def use(self, layer: int, experts: np.ndarray, tokens: np.ndarray, scores: np.ndarray | None) -> None:
        """A step's routing: the experts i64[n] of a layer that it uses, each once, how many of its tokens i64[n] do,
        and the router's scores f32[T, num_experts]; None where they are not known.

        An average takes in the share of the step's tokens. A prompt's tokens follow one another, so that as many
        half-lives pass; where the uses are among them is not known.
        """
        num_tokens, step = sum(tokens.tolist()) // self._top_k, self._step
        if num_tokens > PROMPT_TOKENS:
            step = self._of_a_step(self._kept**num_tokens)
        known = self._known[layer]
        averages, uses, expected = known[:USES], known[USES], known[SCORES]
        uses.fill(0)
        uses.put(experts, tokens / num_tokens)
        if scores is not None:
            self._compare(layer, scores, experts, expected)
        averages[:] = np.dot(step, known)
        np.dot(self._sums, averages, out=known[USES:])
        self._set_worth(layer, uses + expected / math.sqrt(self._variance[layer] + LEAST_VARIANCE))

    def admit(self, key: int) -> None:
        """It is resident from now on."""
        self._flat_absence[key] = 0
        self._flat_resident_worth[key] = self._flat_worth[key]

    def forget(self, key: int) -> None:
        """It is no longer resident."""
        self._flat_absence[key] = self._flat_resident_worth[key] = np.inf

    def victim(self, key: int, busy: Set[int]) -> int | None:
        """The least worthy resident, none of `busy`, which makes room for `key` and is forgotten.

        None: `key` is worth no more than any of them, or all are busy. For `COLDEST` only the latter.
        """
        place = int(self._flat_resident_worth.argmin())
        if place in busy:
            held = np.fromiter(busy, np.int64, len(busy))
            worth = self._flat_resident_worth[held]
            self._flat_resident_worth[held] = np.inf
            place = int(self._flat_resident_worth.argmin())
            self._flat_resident_worth[held] = worth
            if place in busy:
                return None
        worth = np.inf if key == COLDEST else self._flat_worth[key]
        if self._flat_resident_worth[place] >= worth:
            return None
        self.forget(place)
        return place

    def _compare(self, layer: int, scores: np.ndarray, experts: np.ndarray, expected: np.ndarray) -> None:
        """Replaces the margins that were expected, f32[num_experts], by those of a step: its scores f32[T, num_experts]
        minus the lowest that a token chose, the mean of the tokens, or of some. They stay when one is no number."""
        if len(scores) == 1:
            token = scores[0]
            margin = token - min(token[experts].tolist())
        else:
            some, lowest = scores[:: -(-len(scores) // SCORED_TOKENS)], -self._top_k
            margin = (some - np.partition(some, lowest, axis=1)[:, lowest, None]).mean(axis=0)
        error = margin - expected
        square = float(error.dot(error)) / len(error)
        if square < math.inf:
            self._num_steps[layer] += 1
            self._variance[layer] += (square - self._variance[layer]) / min(self._num_steps[layer], ERRORS)
            expected[:] = margin

    def _of_a_step(self, kept: np.ndarray) -> np.ndarray:
        """f32[averages, averages + 2]: an average after a step by averages, uses and scores. kept: what is left of each
        average of before."""
        taken = np.stack([~self._is_of_scores, self._is_of_scores]) * (1 - kept)
        return np.hstack([np.diag(kept), taken.T])

    def _set_worth(self, layer: int, worth: np.ndarray) -> None:
        self.worth[layer] = worth
        np.add(worth, self._absence[layer], out=self._resident_worth[layer])
