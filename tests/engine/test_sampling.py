"""Sampling: the distribution that was asked for, and the same token for the same seed and position."""

import numpy as np
import pytest

from kimi_cpu.engine import sampling
from kimi_cpu.engine.sampling import discourage, log_probabilities, penalize, sample, uniform


def frequencies(logits, count=4000, **options):
    row = np.asarray(logits, np.float32)
    ids = [sample(row, 0, position, **options) for position in range(count)]
    return np.bincount(ids, minlength=len(logits)) / count


def softmax(x):
    p = np.exp(np.asarray(x) - np.max(x))
    return p / p.sum()


def test_temperature_zero_takes_the_lowest_of_the_best_ids():
    assert sample(np.array([0, 3, 3, 1], np.float32), 0, 0, temperature=0) == 1


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


@pytest.mark.parametrize(
    "options",
    [{}, {"top_p": 0.5}, {"top_p": 0.999}, {"min_p": 0.01}, {"top_k": 9}, {"top_k": 300}, {"temperature": 30.0}],
)
def test_sorting_the_best_first_only_draws_what_sorting_all_does(monkeypatch, options):
    row = 3 * np.random.default_rng(2).standard_normal(400).astype(np.float32)
    whole = [sample(row, 5, position, **options) for position in range(300)]
    monkeypatch.setattr(sampling, "HEAD", 16)
    assert [sample(row, 5, position, **options) for position in range(300)] == whole


def test_numbers_of_seeds_and_positions_are_all_different():
    assert len({uniform(seed, position) for seed in range(20) for position in range(20)}) == 400


def test_penalty_moves_seen_ids_away_from_being_chosen():
    out = penalize(np.array([2.0, -2.0, 1.0], np.float32), np.array([0, 1]), 2.0)
    assert out.tolist() == [1.0, -4.0, 1.0]


def test_presence_counts_once_and_frequency_each_time():
    row = np.array([2.0, 2.0, 2.0], np.float32)
    assert discourage(row, [1, 2, 2], presence=0.5, frequency=0.25).tolist() == [2.0, 1.25, 1.0]


def test_log_probabilities_are_the_log_softmax_and_the_best_come_first():
    row = np.array([1.0, 3.0, -np.inf, 3.0, 2.0], np.float32)
    chosen, top = log_probabilities(row, 4, 3)
    expected = row - 3 - np.log(np.exp(row - 3).sum())
    assert [i for i, _ in top] == [1, 3, 4]
    np.testing.assert_allclose([chosen, *(v for _, v in top)], expected[[4, 1, 3, 4]], rtol=1e-6)
