"""The engine over a fake model whose next id depends on every (token, position) that the block table reaches."""

import numpy as np
import pytest

from kimi_cpu.engine import Engine, Kind, Request, Sampling
from kimi_cpu.engine.block_pool import PAGE_TOKENS, ROOT, BlockPool, Tokens
from kimi_cpu.errors import RequestError

from .fake import VOCAB, FakeModel, expected, finish, greedy, next_id


@pytest.mark.parametrize("chunk", [1, 7, 64, 500])
def test_answer_does_not_depend_on_the_chunk(chunk):
    prompt = list(range(5, 90)) * 2
    engine = Engine(FakeModel(chunk, 8))
    assert finish(engine, [greedy(prompt, 70)]) == [expected(prompt, 70)]


def test_requests_side_by_side_answer_as_they_do_alone():
    prompts = [list(range(2, 2 + n)) for n in (3, 70, 1, 130)]
    engine = Engine(FakeModel(16, 20), max_running=3)
    assert finish(engine, [greedy(p, 40) for p in prompts]) == [expected(p, 40) for p in prompts]


class Clocked(FakeModel):
    """A second a token."""

    seconds = 0

    def forward(self, batch, watch):
        self.seconds += len(batch.token_ids)
        return super().forward(batch, watch)


@pytest.mark.parametrize(("fair", "least", "most"), [(True, 190, 215), (False, 4, 6)])
def test_answer_beside_a_long_prompt_has_half_of_the_time_if_fair(fair, least, most):
    model = Clocked(50, 30)
    engine = Engine(model, max_running=2, fair=fair)
    engine.clock = lambda: model.seconds
    answer, prompt = greedy([5, 6], 400), greedy(range(2, 202), 8)
    engine.add(answer)
    engine.step()
    engine.add(prompt)
    while not prompt.output_ids:
        engine.step()
    assert least <= len(answer.output_ids) <= most  # four pieces of 50 s each
    while engine.has_work:
        engine.step()
    assert [answer.output_ids, prompt.output_ids] == [expected([5, 6], 400), expected(range(2, 202), 8)]


def test_prompts_run_on_when_no_answer_is_left_that_they_owe_time():
    model = Clocked(50, 30)
    engine = Engine(model, max_running=2, fair=True)
    engine.clock = lambda: model.seconds
    answer, prompt = greedy([5, 6], 3), greedy(range(2, 302), 8)
    assert finish(engine, [answer, prompt]) == [expected([5, 6], 3), expected(range(2, 302), 8)]
    assert model.seconds < 330


def test_all_pages_are_free_when_all_requests_are_done():
    engine = Engine(FakeModel(16, 6), max_running=4)
    finish(engine, [greedy(list(range(2, 80)), 30) for _ in range(5)])
    assert engine.cache.pool.num_free == 6


def test_aborted_request_frees_its_pages_and_the_others_go_on():
    engine = Engine(FakeModel(16, 6), max_running=2)
    first, second = greedy([5] * 100, 50), greedy([6, 7], 20)
    engine.add(first)
    engine.add(second)
    for _ in range(4):
        engine.step()
    engine.abort(first)
    while engine.has_work:
        engine.step()
    assert second.output_ids == expected([6, 7], 20)
    assert engine.cache.pool.num_free == 6


@pytest.mark.parametrize(("victim", "is_lost"), [(0, False), (1, True)])
def test_abort_ends_the_step_only_if_most_of_it_was_for_the_aborted(victim, is_lost):
    requests = [greedy([5, 6], 20), greedy(range(2, 60), 20)]

    class Aborting(FakeModel):
        """The victim is aborted while a step runs that reads the longer prompt beside the other's answer."""

        steps = lost = 0

        def forward(self, batch, watch):
            self.steps += 1
            requests[victim].aborted |= self.steps == 2
            if watch(0, 1):
                self.lost += 1
                return None
            return super().forward(batch, watch)

    engine = Engine(Aborting(32, 6), max_running=2)
    for request in requests:
        engine.add(request)
    engine.step()
    assert all(output.request is not requests[victim] for output in engine.step())
    engine.abort(requests[victim])
    while engine.has_work:
        engine.step()
    other = requests[1 - victim]
    assert other.output_ids == expected(other.prompt_ids, 20)
    assert engine.model.lost == is_lost
    assert engine.cache.pool.num_free == 6


@pytest.mark.parametrize("num_known", [1, 63, 64, 100, 129])
def test_resumed_request_goes_on_with_the_tokens_that_would_have_come(num_known):
    prompt = list(range(5, 90))
    request = greedy(prompt, 130)
    request.resume(expected(prompt, num_known))
    assert finish(Engine(FakeModel(16, 8)), [request]) == [expected(prompt, 130)]


def test_stop_id_ends_a_request_and_ignore_eos_does_not():
    prompt = [9, 9, 9]
    third = expected(prompt, 3)[2]
    stopping = greedy(prompt, 10, stop_ids=frozenset([third]))
    ignoring = Request(prompt, Sampling(temperature=0, ignore_eos=True), 10, stop_ids=frozenset([third]))
    engine = Engine(FakeModel(16, 6))
    finish(engine, [stopping, ignoring])
    assert (stopping.finish_reason, stopping.output_ids[-1]) == ("stop", third)
    assert (ignoring.finish_reason, len(ignoring.output_ids)) == ("length", 10)


def test_logits_request_gets_every_row_of_its_prompt():
    prompt = list(range(3, 50))
    engine = Engine(FakeModel(16, 6))
    finish(engine, [greedy(prompt, 3)])  # what is in the cache has no logits
    engine.add(Request(prompt, Sampling(), 0, kind=Kind.LOGITS))
    rows = []
    while engine.has_work:
        rows.extend(o.logits for o in engine.step())
    found = np.concatenate(rows).argmax(-1).tolist()
    expanded = [next_id([2 * i for i in prompt[: n + 1]]) for n in range(len(prompt) - 1)]
    assert found == [*expanded, *expected(prompt, 1)]


def test_guide_masks_and_forces_ids():
    class Guide:
        accepted: list[int]

        def __init__(self):
            self.accepted = []

        def forced(self):
            return 42 if len(self.accepted) == 1 else None

        def mask(self):
            mask = np.zeros(VOCAB, bool)
            mask[[11, 12]] = True
            return mask

        def accept(self, token_id):
            self.accepted.append(token_id)

    guide = Guide()
    request = greedy([5, 6], 4, guide=guide)
    finish(Engine(FakeModel(16, 2)), [request])
    assert request.output_ids == guide.accepted
    assert request.output_ids[1] == 42
    assert {request.output_ids[i] for i in (0, 2, 3)} <= {11, 12}


def drawn(model_row, count, **sampling):
    """Greedy answer of a model with the same logits everywhere, and its outputs."""

    class Constant(FakeModel):
        vocab_size = len(model_row)

        def forward(self, batch, watch):
            return np.tile(np.asarray(model_row, np.float32), (len(batch.logits_indices), 1))

    request = Request([0, 1], Sampling(temperature=0, **sampling), count)
    engine = Engine(Constant(16, 2))
    engine.add(request)
    return [output for _ in range(count) for output in engine.step()]


def test_bias_and_penalties_move_the_choice():
    row = [0.0, 1.0, 3.0, 2.5, 2.0]

    def ids(**sampling):
        return [o.token_id for o in drawn(row, 4, **sampling)]

    assert ids() == [2, 2, 2, 2]
    assert ids(logit_bias={"4": 1.5}) == [4, 4, 4, 4]  # JSON has text for keys
    assert ids(presence_penalty=0.6) == [2, 3, 2, 2]
    assert ids(frequency_penalty=0.6) == [2, 3, 2, 4]
    assert ids(repeat_penalty=1.4) == [2, 3, 2, 2]


def test_logprobs_are_those_of_the_models_own_logits():
    row = [0.0, 1.0, 3.0, 2.5, 2.0]
    (first, *_) = drawn(row, 1, logprobs=2, logit_bias={0: 100})
    expected = row - np.log(np.exp(row).sum())
    assert (first.token_id, first.logprob.token_id) == (0, 0)
    assert [i for i, _ in first.logprob.top] == [2, 3]
    np.testing.assert_allclose([first.logprob.logprob, *(v for _, v in first.logprob.top)], expected[[0, 2, 3]])


def test_long_prompt_tells_how_far_it_is():
    engine = Engine(FakeModel(16, 6))
    engine.add(greedy(range(2, 52), 1))
    outputs = [o for _ in range(4) for o in engine.step()]
    assert [(o.token_id is None, o.num_computed) for o in outputs] == [(True, 16), (True, 32), (True, 48), (False, 50)]


def test_pool_never_hands_a_page_out_twice():
    pool = BlockPool(5)
    first, second = pool.allocate(2), pool.allocate(3)
    assert sorted(first + second) == [0, 1, 2, 3, 4]
    assert pool.allocate(1) is None
    pool.release(first)
    assert sorted(pool.allocate(2)) == sorted(first)


def test_check_notices_holders_that_nobody_knows_of():
    pool = BlockPool(5)
    held = pool.allocate(3)
    pool.check([held])
    pool.hold(held[:1])
    pool.check([held, held[:1]])
    for wrong in ([], [held], [held, held]):
        with pytest.raises(AssertionError):
            pool.check(wrong)


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -1},
        {"temperature": 10**400},
        {"repeat_penalty": 10**400},
        {"top_p": 0},
        {"top_k": -2},
        {"min_p": 2},
        {"max_tokens": -2},
        {"stop": ("",)},
        {"seed": 2**64},
        {"seed": -(2**63) - 1},
        {"seed": True},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"presence_penalty": 3},
        {"frequency_penalty": -3},
        {"logit_bias": {5: 101}},
        {"logit_bias": {"x": 1}},
        {"logit_bias": {5.5: 1}},
        {"logit_bias": {True: 1}},
        {"logit_bias": {"5": "1"}},
        {"logit_bias": {"5": float("nan")}},
        {"max_tokens": 1.5},
        {"ignore_eos": 1},
        {"stop": {"a"}},
        {"seed": 10**5000},
        {"logprobs": 21},
    ],
)
def test_sampling_value_out_of_range_is_refused_by_name(bad):
    with pytest.raises(RequestError, match=next(iter(bad))):
        Sampling(**bad)


def test_page_that_can_be_found_keeps_no_more_than_its_own_tokens():
    prompt, pool = Tokens(np.arange(1000, dtype=np.int32), np.zeros(1000, np.uint8)), BlockPool(5)
    (block_id,) = pool.allocate(1)
    key = pool.register(block_id, ROOT, prompt.part(0, PAGE_TOKENS))
    found = pool.find(key).tokens
    own = prompt.part(0, PAGE_TOKENS).tobytes()
    assert all(part.base == own for part in found)  # bytes of this page alone
    assert found.num_common(prompt) == PAGE_TOKENS
