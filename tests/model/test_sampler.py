"""Sampling: the distribution that was asked for, and the same token for the same seed and position."""

import numpy as np
import pytest

from kimi_cpu.model.sampler import SamplingBatch, penalize, sample, uniform


def batch(n=1, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=0, first=0):
    return SamplingBatch(
        np.full(n, temperature, np.float32),
        np.full(n, top_k, np.int32),
        np.full(n, top_p, np.float32),
        np.full(n, min_p, np.float32),
        np.full(n, seed, np.uint64),
        np.arange(first, first + n),
    )


def frequencies(logits, count=4000, **options):
    ids = sample(np.tile(np.asarray(logits, np.float32), (count, 1)), batch(count, **options))
    return np.bincount(ids, minlength=len(logits)) / count


def softmax(x):
    p = np.exp(np.asarray(x) - np.max(x))
    return p / p.sum()


def test_temperature_zero_takes_the_lowest_of_the_best_ids():
    assert sample(np.array([[0, 3, 3, 1]], np.float32), batch(temperature=0)).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax_at_a_temperature(temperature):
    logits = np.array([0.0, 1.0, 2.0, -1.0])
    np.testing.assert_allclose(frequencies(logits, temperature=temperature), softmax(logits / temperature), atol=0.03)


def test_top_k_keeps_the_k_best_even_among_equals():
    found = frequencies([1.0, 1.0, 1.0, 0.0], top_k=2)
    assert found[0] > 0.4 and found[1] > 0.4 and found[2] == found[3] == 0


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    assert (frequencies(logits, top_p=0.79) > 0).tolist() == [True, True, False, False]
    assert (frequencies(logits, top_p=0.81) > 0).tolist() == [True, True, True, False]


def test_min_p_drops_what_is_below_a_share_of_the_best():
    assert (frequencies(np.log([0.5, 0.3, 0.15, 0.05]), min_p=0.25) > 0).tolist() == [True, True, True, False]


def test_masked_ids_are_never_drawn():
    assert frequencies([-np.inf, 0.0, -np.inf, 0.0])[[0, 2]].sum() == 0


def test_token_depends_on_seed_and_position_alone():
    logits = np.random.default_rng(1).standard_normal((6, 50)).astype(np.float32)
    together = sample(logits, batch(6, seed=7))
    alone = [int(sample(logits[i : i + 1], batch(1, seed=7, first=i))[0]) for i in range(6)]
    assert together.tolist() == alone
    assert len({uniform(seed, position) for seed in range(20) for position in range(20)}) == 400


def test_penalty_moves_seen_ids_away_from_being_chosen():
    out = penalize(np.array([2.0, -2.0, 1.0], np.float32), np.array([0, 1]), 2.0)
    assert out.tolist() == [1.0, -4.0, 1.0]
