"""Routings: which experts each token uses in each layer, and the scores by which it chose them, by a seed.

Two have the statistics of Kimi K2's: an expert of this token is used by the next one in three of ten cases, after 64
tokens in one of ten.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

POPULARITY = 0.62  # standard deviation of what an expert's scores have in common within a domain
PROCESSES = np.array([(0.55, 0.55), (0.55, 0.88), (0.82, 0.993)])  # AR(1): standard deviation, and what a token keeps
NOISE = 0.65  # standard deviation of what each token adds
DOMAIN_TOKENS = (500, 2000)  # of a domain, drawn evenly
REDRAWN = 0.9  # share of experts whose popularity changes with the domain


class Routed(NamedTuple):
    """ids i32[T, layers, top_k], ascending; scores f32[T, layers, experts], None where they were not recorded."""

    ids: np.ndarray
    scores: np.ndarray | None


def k2_like(num_tokens: int, layers: int, experts: int = 384, top_k: int = 8, seed: int = 0) -> Routed:
    """Popular experts that change with the domain, and locality."""
    return _routing(_scores(num_tokens, layers, experts, POPULARITY, seed), top_k)


def flat(num_tokens: int, layers: int, experts: int = 384, top_k: int = 8, seed: int = 0) -> Routed:
    """Locality alone: in the long run all experts are used as often."""
    return _routing(_scores(num_tokens, layers, experts, 0.0, seed), top_k)


def independent(num_tokens: int, layers: int, experts: int = 384, top_k: int = 8, seed: int = 0) -> Routed:
    """Nothing to learn: each token draws its experts anew."""
    rng = np.random.default_rng(seed)
    draws = (rng.random((layers, experts)) for _ in range(num_tokens))
    return _routing(draws, top_k)


def recorded(path: Path) -> Routed:
    """A file with a line of JSON for each token, {"layers": [[ids of the first layer], …]}."""
    with path.open() as lines:
        return Routed(np.sort(np.array([json.loads(line)["layers"] for line in lines], np.int32), axis=2), None)


def _scores(num_tokens: int, layers: int, experts: int, popularity: float, seed: int) -> Iterator[np.ndarray]:
    """Scores f64[layers, experts] of each token."""
    rng = np.random.default_rng(seed)
    std, kept = PROCESSES[:, 0, None, None], PROCESSES[:, 1, None, None]
    domain = popularity * rng.standard_normal((layers, experts))
    state = std * rng.standard_normal((len(PROCESSES), layers, experts))
    left = rng.integers(*DOMAIN_TOKENS)
    for _ in range(num_tokens):
        yield domain + state.sum(axis=0) + NOISE * rng.standard_normal((layers, experts))
        state = kept * state + std * np.sqrt(1 - kept**2) * rng.standard_normal(state.shape)
        left -= 1
        if not left:
            another = popularity * rng.standard_normal((layers, experts))
            domain = np.where(rng.random((layers, experts)) < REDRAWN, another, domain)
            left = rng.integers(*DOMAIN_TOKENS)


def _routing(drawn: Iterator[np.ndarray], top_k: int) -> Routed:
    scores = np.stack([*drawn]).astype(np.float32)
    return Routed(np.sort(np.argpartition(scores, -top_k, axis=2)[:, :, -top_k:], axis=2).astype(np.int32), scores)
