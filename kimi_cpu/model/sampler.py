"""Logits to token ids. Random numbers depend on (seed, position) alone, so a token does not depend on company."""

from typing import NamedTuple

import numpy as np


class SamplingBatch(NamedTuple):
    """Parameters of S sequences, one entry each. temperature 0 is greedy; top_k 0, top_p 1, min_p 0 are off."""

    temperature: np.ndarray  # f32[S]
    top_k: np.ndarray  # i32[S]
    top_p: np.ndarray  # f32[S]
    min_p: np.ndarray  # f32[S]
    seeds: np.ndarray  # u64[S]
    positions: np.ndarray  # i64[S], index of the token that is drawn, in its sequence


def sample(logits: np.ndarray, batch: SamplingBatch) -> np.ndarray:
    """Token ids i32[S] of logits f32[S, vocab]. Temperature first, then top-k, top-p and min-p, as vLLM orders them."""
    ids = np.empty(len(logits), np.int32)
    for s, row in enumerate(logits):
        if batch.temperature[s] == 0:
            ids[s] = np.argmax(row)  # the lowest id of equal ones
        else:
            ids[s] = _draw(row, batch, s)
    return ids


def penalize(row: np.ndarray, seen: np.ndarray, repeat: float) -> np.ndarray:
    """A copy of row f32[vocab] in which the logits of the ids seen are made smaller (Keskar et al., 2019, sec. 4.1)."""
    out = row.copy()
    values = out[seen]
    out[seen] = np.where(values > 0, values / np.float32(repeat), values * np.float32(repeat))
    return out


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that (seed, position) alone decides: Philox4x64 (Salmon et al., 2011)."""
    return np.random.Generator(np.random.Philox(key=[seed, 0], counter=[0, position, 0, 0])).random()


def _draw(row: np.ndarray, batch: SamplingBatch, s: int) -> int:
    """One id by inversion of the cumulative distribution over the candidates, best first, equal ones by id."""
    top_k = int(batch.top_k[s]) or len(row)
    if top_k < len(row):
        candidates = np.flatnonzero(row >= np.partition(row, -top_k)[-top_k])
    else:
        candidates = np.arange(len(row))
    scores = row[candidates].astype(np.float64)
    scores = (scores - scores.max()) / float(batch.temperature[s])
    order = np.argsort(-scores, kind="stable")[:top_k]
    candidates, p = candidates[order], np.exp(scores[order])
    p /= p.sum()
    keep = len(p)
    if batch.top_p[s] < 1:
        keep = int(np.searchsorted(np.cumsum(p), batch.top_p[s])) + 1
    if batch.min_p[s] > 0:
        keep = min(keep, int(np.count_nonzero(p >= batch.min_p[s] * p[0])))
    cumulative = np.cumsum(p[:keep])
    index = np.searchsorted(cumulative, uniform(int(batch.seeds[s]), int(batch.positions[s])) * cumulative[-1], "right")
    return int(candidates[min(index, len(cumulative) - 1)])
