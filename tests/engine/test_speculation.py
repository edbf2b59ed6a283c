"""Prompt lookup: what is drafted, and when it is thought to pay. Exactness is tested with the pages."""

import random

import pytest

from kimi_cpu.engine import Engine
from kimi_cpu.engine.speculation import MAX_DRAFT, Speculation

from .fake import FakeModel, finish, greedy


class Looping(FakeModel):
    """Counts 10, 11, … 19 and begins again, whatever it reads."""

    def forward(self, batch, watch):
        logits = super().forward(batch, watch)
        logits[:] = 0
        for row, index in enumerate(batch.logits_indices):
            logits[row, 10 + (batch.token_ids[index] - 9) % 10] = 1
        return logits


def follow(speculation, request, tokens, num_rows=1, limit=MAX_DRAFT):
    """Lets tokens come one by one; the draft before each of them."""
    drafts = []
    for token_id in tokens:
        drafts.append(speculation.propose(request, num_rows, limit))
        request.output_ids.append(token_id)
    return drafts


def observed(slope):
    """Costs of a step: 1 for a row, `slope` for each further one."""
    speculation = Speculation()
    for _ in range(20):
        for num_rows in (1, 2, 4):
            speculation.observe(num_rows, 1 + slope * (num_rows - 1))
    return speculation


def test_what_followed_the_same_words_is_drafted():
    request = greedy([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50, 2, 3, 4], 100)
    drafts = follow(observed(0.01), request, [5, 6, 7, 8, 9])
    assert drafts[0] == [5, 6, 7, 8, 9, 10, 50, 2][: len(drafts[0])]
    assert drafts[-1] == [9, 10, 50, 2, 3, 4, 5, 6][: len(drafts[-1])]


def test_repetition_is_taken_to_go_on():
    request = greedy([7, 8] * 5, 100)
    drafts = follow(observed(0.01), request, [7, 8] * 10)
    assert drafts[-1] == [8, 7] * 4


def test_draft_begins_after_the_last_occurrence_wherever_it_was():
    rng = random.Random(0)
    for _ in range(100):
        request, speculation = greedy([rng.randrange(3) for _ in range(rng.randrange(1, 30))], 100), observed(0.0)
        for _ in range(30):
            request.output_ids += [rng.randrange(3) for _ in range(rng.randrange(3))]
            draft, ids = speculation.propose(request, 1, MAX_DRAFT), [*request.prompt_ids, *request.output_ids]
            ends = [end for end in range(3, len(ids)) if ids[end - 3 : end] == ids[-3:]]
            expected = [] if not ends else (ids[ends[-1] : ends[-1] + MAX_DRAFT] * MAX_DRAFT)[:MAX_DRAFT]
            assert draft == expected[: len(draft)] and bool(draft) <= bool(expected)
            assert draft or not expected or speculation._lookups[request].rate < 0.05


def test_nothing_is_drafted_without_a_precedent():
    assert follow(observed(0.01), greedy(range(50), 100), range(50, 90)) == [[]] * 40


def test_drafts_stop_when_they_do_not_come_true():
    rng = random.Random(1)
    tokens = [rng.randrange(3) for _ in range(400)]  # every n-gram has occurred, and says nothing
    drafts = follow(observed(0.5), greedy([0, 1, 2], 1000), tokens)
    assert sum(map(len, drafts[50:])) < 0.1 * len(drafts)


@pytest.mark.parametrize(("slope", "least", "most"), [(0.0, 8, 8), (0.3, 3, 8), (0.9, 0, 0), (2.0, 0, 0)])
def test_length_of_a_draft_follows_the_measured_cost_of_a_row(slope, least, most):
    request = greedy([7, 8] * 5, 1000)
    drafts = follow(observed(slope), request, [7, 8] * 6)
    assert least <= len(drafts[-1]) <= most


def test_company_that_makes_rows_cheap_or_dear_is_counted():
    request = greedy([7, 8] * 5, 1000)
    alone = follow(observed(0.6), request, [7, 8] * 6)[-1]
    assert 0 < len(alone) <= MAX_DRAFT
    assert len(follow(observed(0.6), greedy([7, 8] * 5, 1000), [7, 8] * 6, num_rows=30)[-1]) == 0


def test_disturbed_step_does_not_end_it():
    speculation = observed(0.1)
    speculation.observe(2, 1e6)
    for _ in range(30):
        speculation.observe(2, 1.1)
    assert follow(speculation, greedy([7, 8] * 5, 1000), [7, 8] * 6)[-1]


def test_looping_answer_takes_fewer_steps_with_the_engines_own_drafts():
    def run(speculation):
        engine, steps = Engine(Looping(64, 20), 1, speculation), 0
        request = greedy([10, 11, 12], 300)
        engine.add(request)
        while engine.has_work:
            engine.step()
            steps += 1
        return request.output_ids, steps

    plain, steps = run(None)

    class Steady(Speculation):
        def observe(self, num_rows, seconds):
            super().observe(num_rows, 1 + 0.1 * num_rows)

    drafted, fewer = run(Steady())
    assert drafted == plain
    assert steps == 300 and fewer < 100
    assert finish(Engine(Looping(64, 20), 1, Speculation()), [greedy([10, 11, 12], 300)]) == [plain]
