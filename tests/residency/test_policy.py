"""Worth is what its definition says, victims are the least worthy, and replayed routings hit as often as they can."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_cpu.residency.policy import COLDEST, HALF_LIVES, PROMPT_TOKENS, Policy
from kimi_cpu.residency.regret import best_hits

from .replay import replay
from .routings import flat, independent, k2_like

LAYERS, EXPERTS, K = 3, 16, 4


def ones(n):
    return np.ones(n, np.int64)


def used(policy, steps, seed=0):
    """So many steps of one token, whose experts are drawn; bool[steps, layers, experts]."""
    rng = np.random.default_rng(seed)
    uses = np.zeros((steps, LAYERS, EXPERTS), bool)
    for step in range(steps):
        for layer in range(LAYERS):
            experts = np.sort(rng.choice(EXPERTS, K, replace=False))
            policy.use(layer, experts, ones(K), None)
            uses[step, layer, experts] = True
    return uses


def test_worth_is_the_sum_of_averages_whose_weights_halve_with_their_half_lives():
    policy = Policy(LAYERS, EXPERTS, K)
    uses = used(policy, 50)
    age = np.arange(49, -1, -1)
    expected = np.zeros((LAYERS, EXPERTS))
    for half_life in HALF_LIVES:
        weight = 0.5 ** (age / half_life) * (1 - 0.5 ** (1 / half_life))
        expected += np.einsum("t,tle->le", weight, uses)
    np.testing.assert_allclose(policy.worth, expected, rtol=1e-5)


def test_a_piece_of_a_prompt_is_worth_what_its_tokens_are_one_by_one():
    experts, together, one_by_one = np.arange(K), Policy(1, EXPERTS, K), Policy(1, EXPERTS, K)
    count = 2 * PROMPT_TOKENS
    together.use(0, experts, np.full(K, count), None)
    for _ in range(count):
        one_by_one.use(0, experts, ones(K), None)
    np.testing.assert_allclose(together.worth, one_by_one.worth, rtol=1e-4)


def test_a_step_of_many_sequences_is_as_long_as_a_step_of_one():
    alone, together = Policy(1, EXPERTS, K), Policy(1, EXPERTS, K)
    for policy, sequences in ((alone, 1), (together, 8)):
        policy.use(0, np.arange(K), np.full(K, sequences), None)
        policy.use(0, np.arange(K, 2 * K), np.full(K, sequences), None)
    np.testing.assert_allclose(together.worth, alone.worth)


def test_an_expert_that_just_missed_is_worth_more_than_one_that_never_came_near():
    policy, scores = Policy(1, EXPERTS, K), np.zeros((1, EXPERTS), np.float32)
    scores[0, :K], scores[0, 9] = 1.0, 0.9
    for _ in range(3):
        policy.use(0, np.arange(K), ones(K), scores)
    worth = policy.worth[0]
    assert worth[:K].min() > worth[9] > np.delete(worth, [*range(K), 9]).max()


@pytest.mark.parametrize("count", [2, 40, 100])
def test_as_many_tokens_with_the_same_scores_are_worth_what_one_is(count):
    scores = np.sort(np.random.default_rng(0).random((1, EXPERTS)).astype(np.float32))  # the last ones are chosen
    alone, together = Policy(1, EXPERTS, K), Policy(1, EXPERTS, K)
    chosen = np.arange(EXPERTS - K, EXPERTS)
    for _ in range(count if count > PROMPT_TOKENS else 1):
        alone.use(0, chosen, ones(K), scores)
    together.use(0, chosen, np.full(K, count), scores.repeat(count, axis=0))
    order = np.argsort(alone.worth[0], kind="stable")
    assert np.array_equal(np.argsort(together.worth[0], kind="stable"), order)


def test_experts_whose_scores_are_all_equal_are_worth_their_use(recwarn):
    scored, unscored, scores = Policy(1, EXPERTS, K), Policy(1, EXPERTS, K), np.full((1, EXPERTS), 0.5, np.float32)
    for _ in range(3):
        scored.use(0, np.arange(K), ones(K), scores)
        unscored.use(0, np.arange(K), ones(K), None)
    np.testing.assert_allclose(scored.worth, unscored.worth)
    assert not recwarn.list


def test_scores_that_are_no_numbers_change_nothing_for_later_steps():
    policy, good = Policy(1, EXPERTS, K), np.linspace(1, 0, EXPERTS, dtype=np.float32)[None]
    for scores in (good, np.full_like(good, np.nan), good):
        policy.use(0, np.arange(K), ones(K), scores)
    assert np.isfinite(policy.worth).all()


@given(st.data())
def test_a_victim_is_the_least_worthy_of_those_that_may_go(data):
    policy = Policy(LAYERS, EXPERTS, K)
    used(policy, 5, data.draw(st.integers(0, 100)))
    keys = st.integers(0, LAYERS * EXPERTS - 1)
    resident = data.draw(st.sets(keys))
    for key in resident:
        policy.admit(key)
    used(policy, 5, data.draw(st.integers(0, 100)))
    gone = data.draw(st.sets(keys))
    for key in gone:
        policy.forget(key)
    busy = data.draw(st.sets(keys))
    worth = policy.worth.reshape(-1)
    left = sorted(resident - gone, key=lambda key: worth[key])
    while True:
        free = [key for key in left if key not in busy]
        victim = policy.victim(COLDEST, busy)
        if not free:
            assert victim is None
            break
        assert worth[victim] == worth[free[0]]
        left.remove(victim)


def test_an_expert_that_is_worth_less_than_all_residents_gets_no_room():
    policy = Policy(1, EXPERTS, K)
    policy.use(0, np.arange(K), ones(K), None)
    policy.admit(0)
    policy.use(0, np.arange(4, 4 + K), ones(K), None)
    assert policy.victim(1, set()) is None, "worth as much as the resident"
    assert policy.victim(9, set()) is None, "never used"
    assert policy.victim(4, {0}) is None, "the resident is busy"
    assert policy.victim(4, set()) == 0
    assert policy.victim(4, set()) is None, "nothing is resident"


def test_a_prompt_that_sweeps_over_all_experts_moves_few_of_them():
    rng, policy, resident, moved = np.random.default_rng(0), Policy(LAYERS, 64, 8), set(), []
    liking = rng.random((LAYERS, 64)) ** 3
    for _ in range(12):
        moved.append(0)
        for layer in range(LAYERS):
            scores = (np.log(liking[layer]) + rng.gumbel(size=(512, 64))).astype(np.float32)
            experts, tokens = np.unique(np.argpartition(scores, -8, axis=1)[:, -8:], return_counts=True)
            policy.use(layer, experts, tokens, scores)
            for key in (layer * 64 + experts).tolist():
                if key in resident:
                    continue
                if len(resident) == 40:
                    gone = policy.victim(key, set())
                    if gone is None:
                        continue
                    resident.remove(gone)
                    moved[-1] += 1
                policy.admit(key)
                resident.add(key)
    assert sum(moved[4:]) < 0.05 * 8 * LAYERS * 64


@pytest.mark.parametrize("share", [0.06, 0.25, 0.6])
def test_independent_draws_hit_as_often_as_experts_fit(share):
    routing = independent(400, layers=4)
    is_hit = replay(Policy(4, 384, 8), routing, 384, int(share * 4 * 384))
    assert abs(is_hit[200:].mean() - share) < 0.02


@pytest.mark.parametrize(
    ("make", "share", "most"),
    [(k2_like, 0.06, 18), (k2_like, 0.25, 15), (k2_like, 0.4, 8), (flat, 0.06, 18), (flat, 0.25, 15), (flat, 0.4, 8)],
)
def test_the_regret_is_small(make, share, most):
    routing = make(500, layers=4)
    capacity = int(share * 4 * 384)
    is_hit = replay(Policy(4, 384, 8), routing, 384, capacity)
    keys = routing.ids + 384 * np.arange(4)[:, None]
    best = best_hits(keys.reshape(-1), capacity).reshape(is_hit.shape)
    assert 100 * (best[200:].mean() - is_hit[200:].mean()) <= most
