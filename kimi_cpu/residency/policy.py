"""Which experts stay in memory: the ones that the router is likely to use next.

What an expert is worth is the sum of four decayed averages of its use, with half-lives of 1, 4, 16 and 64 tokens. A key
names an expert of a layer: layer * num_experts + expert.
"""

from collections.abc import Set

import numpy as np

HALF_LIVES = (1, 4, 16, 64)  # tokens; benchmarks/results-residency.md compares them with others
PROMPT_TOKENS = 64  # a step of more tokens is taken for a piece of a prompt, one of fewer for one token each of many
COLDEST = -1  # no key: asks for a victim in any case


class Policy:
    """The worth of every expert, and the least worthy ones among those that are resident.

    A layer's values change when its routing is known, once a step; those of layers above it are of the step before.
    """

    def __init__(self, num_layers: int, num_experts: int, top_k: int):
        """Layers count as in the model; those without experts are never used."""
        self.worth = np.zeros((num_layers, num_experts), np.float32)
        self._top_k = top_k
        self._averages = np.zeros((num_layers, len(HALF_LIVES), num_experts), np.float32)
        self._kept = np.float32(0.5) ** (1 / np.array(HALF_LIVES, np.float32))[:, None]  # of an average, a token later
        self._is_resident = np.zeros((num_layers, num_experts), bool)
        self._resident_worth = np.full((num_layers, num_experts), np.inf, np.float32)  # infinite: not resident
        self._flat_worth, self._flat_is_resident = self.worth.reshape(-1), self._is_resident.reshape(-1)  # by key
        self._flat_resident_worth = self._resident_worth.reshape(-1)

    def use(self, layer: int, experts: np.ndarray, tokens: np.ndarray) -> None:
        """A step's routing: the experts i64[n] of a layer that it uses, each once, and how many tokens i64[n] do.

        An average takes in the share of the step's tokens. A prompt's tokens follow one another, so that as many
        half-lives pass; where the uses are among them is not known.
        """
        averages = self._averages[layer]  # [half-lives, num_experts]
        num_tokens = int(tokens.sum()) / self._top_k
        kept = self._kept**num_tokens if num_tokens > PROMPT_TOKENS else self._kept
        averages *= kept
        averages[:, experts] += (1 - kept) * (tokens / np.float32(num_tokens))
        self._set_worth(layer, averages.sum(axis=0))

    def admit(self, key: int) -> None:
        """It is resident from now on."""
        self._flat_is_resident[key] = True
        self._flat_resident_worth[key] = self._flat_worth[key]

    def forget(self, key: int) -> None:
        """It is no longer resident."""
        self._flat_is_resident[key] = False
        self._flat_resident_worth[key] = np.inf

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

    def _set_worth(self, layer: int, worth: np.ndarray) -> None:
        self.worth[layer] = worth
        np.copyto(self._resident_worth[layer], worth, where=self._is_resident[layer])
