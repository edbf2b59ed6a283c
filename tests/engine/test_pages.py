"""Pages: shared, copied, preempted and found again, and never mixed up."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_cpu.engine import DiskStore, Engine, Kind
from kimi_cpu.model import PAGE_TOKENS

from .fake import VOCAB, FakeModel, Guesses, LateModel, expected, finish, greedy

NUM_SCHEDULES = int(os.environ.get("KIMI_CPU_TEST_SCHEDULES", "300"))
PREFIX = [(7 * i) % 90 + 2 for i in range(3 * PAGE_TOKENS)]


def make(num_pages=12, chunk=32, max_running=4, speculation=None, store=None, model=FakeModel, depth=1):
    engine = Engine(model(chunk, num_pages, depth), max_running, speculation, store, fair=True)
    engine.clock = lambda: engine.model.num_tokens
    return engine


def check_pool(engine, flights=()):
    """Used and free pages together are all pages, each once; ref counts are those of the block tables. What a step
    writes has one holder, and a request is in one step."""
    tables = [r.block_table for r in (*engine.scheduler.running, *engine.scheduler.leaving)]
    engine.cache.pool.check(tables)
    held = [block_id for table in tables for block_id in table]
    written = [set((plan.batch.slot_mapping // PAGE_TOKENS).tolist()) for plan, _ in flights]
    assert all(held.count(block_id) == 1 for pages in written for block_id in pages)
    if flights:
        in_flight = [scheduled.request for plan, _ in flights for scheduled in plan.step]
        assert len(in_flight) == len(set(in_flight)) and set(in_flight) == engine.scheduler.in_flight


actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"), st.integers(0, 3 * PAGE_TOKENS), st.integers(0, 5), st.integers(1, 90), st.integers(1, 99)
        ),
        st.tuples(st.just("fork"), st.integers(0, 9), st.integers(1, 90)),
        st.tuples(st.just("idle"), st.integers(1, 3 * PAGE_TOKENS)),
        st.tuples(st.just("step"), st.integers(1, 12)),
        st.tuples(st.just("abort"), st.integers(0, 9)),
        st.tuples(st.just("preempt")),
        st.tuples(st.just("begin")),
        st.tuples(st.just("finish"), st.integers(0, 2)),
        st.tuples(st.just("break")),
        st.tuples(st.just("session"), st.integers(0, 9)),
    ),
    max_size=25,
)


class Breaking:
    """Raises once when it was told to."""

    is_broken = False

    def forward(self, batch, watch):
        if self.is_broken:
            self.is_broken = False
            raise RuntimeError("out of luck")
        return super().forward(batch, watch)


class Early(Breaking, FakeModel):
    """Computes a batch at once, whenever its result is asked for."""


class Late(Breaking, LateModel):
    """Computes a batch as its result is asked for."""


@settings(max_examples=NUM_SCHEDULES, suppress_health_check=list(HealthCheck))
@given(
    actions,
    st.integers(5, 14),
    st.sampled_from([1, 5, 32, 200]),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(Early, 1), (Early, 2), (Early, 3), (Late, 2), (Late, 3)]),
)
def test_any_schedule_answers_as_each_request_does_alone(
    schedule, num_pages, chunk, max_running, speculates, stores, model
):
    speculation = Guesses() if speculates else None
    with tempfile.TemporaryDirectory() as folder:
        store = DiskStore(Path(folder), 7000, "model") if stores else None  # 8 pages
        run_schedule(make(num_pages, chunk, max_running, speculation, store, *model), schedule)


def run_schedule(engine, schedule):
    num_pages = engine.model.pages.num_pages
    alive, tails, total, flights = [], {}, {}, []

    def finish_one(number):
        plan, future = flights.pop(number % len(flights))
        try:
            engine.finish(plan, future.result())
        except RuntimeError:
            engine.finish(plan, None)
        check_pool(engine, flights)

    def step():
        while flights:
            finish_one(0)
        with suppress(RuntimeError):
            engine.step()
        check_pool(engine)

    for what, *args in schedule:
        if what == "add":
            shared, salt, count, tail = args
            prompt = PREFIX[:shared] + [salt + 2] * (salt + 1)
            request = greedy(prompt, min(count, num_pages * PAGE_TOKENS - len(prompt)), tail=tail)
            tails[request] = tail
            engine.add(request)
            alive.append(request)
        elif what == "fork" and alive:
            parent = alive[args[0] % len(alive)]
            room = num_pages * PAGE_TOKENS - len(parent.prompt_ids)
            request = greedy(parent.prompt_ids, min(args[1], room), tail=tails[parent], parent=parent)
            tails[request] = tails[parent]
            engine.add(request)
            alive.append(request)
        elif what == "idle":
            engine.add(greedy(PREFIX[: args[0]], 0, kind=Kind.IDLE))
        elif what == "step":
            for _ in range(args[0]):
                step()
        elif what == "abort" and alive:
            request = alive.pop(args[0] % len(alive))
            request.aborted = True
            engine.look()
            engine.abort(request)
        elif what == "preempt" and len(engine.scheduler.running) > 1:
            if engine.scheduler.running[-1] not in engine.scheduler.in_flight:
                engine.scheduler.preempt(engine.scheduler.running[-1])
        elif what == "begin" and engine.scheduler.in_flight and not flights:
            step()  # those in flight are the engine's
        elif what == "begin" and len(flights) < engine.model.depth and (plan := engine.begin()) is not None:
            flights.append((plan, engine.model.submit(plan.batch, plan.watch)))
        elif what == "finish" and flights:
            finish_one(args[0])
        elif what == "break":
            engine.model.is_broken = True
        elif what == "session" and alive:
            tokens = alive[args[0] % len(alive)].tokens(0, 10**6)
            count, contents = engine.cache.export(tokens)
            contents = [content.copy() for content in contents]
            found = np.concatenate([np.zeros(0, np.int64), *(content.view(np.int64) for content in contents)])
            np.testing.assert_array_equal(found[:count], (2 * tokens.ids + tokens.forms)[:count])
            engine.cache.restore(tokens.part(0, count), contents)
        check_pool(engine, flights)
    while engine.has_work:
        step()
    assert engine.cache.pool.num_free == num_pages
    for request in alive:
        key = (tuple(request.prompt_ids), request.max_tokens, tails[request])
        total.setdefault(key, expected(request.prompt_ids, request.max_tokens, tails[request]))
        assert request.output_ids == total[key]


def test_second_request_computes_only_what_the_first_did_not():
    engine = make()
    finish(engine, [greedy([*PREFIX, 5, 6, 7], 10)])
    before = engine.model.num_tokens
    second = greedy([*PREFIX, 5, 6, 9, 9], 10)
    assert finish(engine, [second]) == [expected(second.prompt_ids, 10)]
    assert second.num_cached == len(PREFIX) + 2  # three pages, and two tokens of a page by copy
    assert engine.model.num_tokens - before == 2 + 9


def test_page_whose_tokens_another_one_has_as_well_is_reused_first():
    """Each turn of a chat goes on from a copy of the last page; what it was copied from is of no use any more."""
    engine, prompt = make(num_pages=40), [*PREFIX, 5, 6, 7]
    for count in range(12):
        (answer,) = finish(engine, [greedy(prompt, 2, forms=np.repeat([0, 1], [len(PREFIX) + 2, 1 + 3 * count]))])
        prompt = [*prompt, *answer, 9]
    pool, most = engine.cache.pool, len(PREFIX) // PAGE_TOKENS + 2
    assert len(pool.in_use) == most - 1
    assert pool.allocate(1)[0] < most  # no others were ever written


def test_same_prompt_again_computes_its_last_token_only():
    engine = make()
    prompt = PREFIX[: 2 * PAGE_TOKENS]
    finish(engine, [greedy(prompt, 3)])
    again = greedy(prompt, 3)
    assert finish(engine, [again]) == [expected(prompt, 3)]
    assert again.num_cached == len(prompt) - 1


def test_samples_of_one_prompt_compute_it_once():
    engine = make(num_pages=20, max_running=8)
    prompt = [*PREFIX, 3, 4, 5]
    first = greedy(prompt, 4)
    samples = [first, *(greedy(prompt, 4, parent=first) for _ in range(7))]
    assert finish(engine, samples) == [expected(prompt, 4)] * 8
    assert engine.model.num_tokens <= len(prompt) + 8 * 5


def test_generated_tokens_are_not_taken_for_given_ones():
    engine = make()
    prompt = PREFIX[:10]
    (answer,) = finish(engine, [greedy(prompt, 2 * PAGE_TOKENS)])
    given = greedy([*prompt, *answer, 5], 4)
    assert finish(engine, [given]) == [expected(given.prompt_ids, 4)]
    assert given.num_cached == len(prompt) - 1
    forms = np.repeat([0, 1, 0], [len(prompt) - 1, 1 + len(answer), 1])
    continued = greedy([*prompt, *answer, 5], 4, forms=forms)
    finish(engine, [continued])
    assert continued.num_cached >= len(prompt) + len(answer) - 1


@pytest.mark.parametrize("num_pages", [4, 5, 7])
def test_requests_that_outgrow_the_pool_are_preempted_and_still_right(num_pages):
    prompts = [[n + 2] * 60 for n in range(4)]
    engine = make(num_pages=num_pages, max_running=4)
    assert finish(engine, [greedy(p, 150) for p in prompts]) == [expected(p, 150) for p in prompts]


def test_drafts_change_the_number_of_steps_and_nothing_else():
    prompts = [PREFIX[:n] for n in (3, 64, 130)]

    def answer(speculation):
        engine, steps, outputs = make(20, 64, speculation=speculation), 0, []
        for prompt in prompts:
            engine.add(greedy(prompt, 100))
        while engine.has_work:
            outputs += engine.step()
            steps += 1
        assert engine.cache.pool.num_free == 20
        return [o.token_id for o in sorted(outputs, key=lambda o: o.request.num_prompt_tokens)], steps, engine

    plain, steps, _ = answer(None)
    drafted, fewer, engine = answer(Guesses())
    assert drafted == plain
    assert fewer < 0.6 * steps
    for prompt in prompts:  # no page with a refuted draft in it can be found
        forms = np.repeat([0, 1], [len(prompt) - 1, 101])
        again = greedy([*prompt, *expected(prompt, 100)], 3, forms=forms)
        assert finish(engine, [again]) == finish(make(20), [again_alone(again)])


def again_alone(request):
    return greedy(request.prompt_ids, request.max_tokens, forms=request.tokens(0, request.num_prompt_tokens).forms)


class Alternating:
    """A guide that allows other ids after each token, and forces some; it refuses to go on where it did not say so."""

    def __init__(self):
        self.count = 0

    def forced(self):
        return 5 if self.count % 7 == 3 else None

    def mask(self):
        mask = np.zeros(VOCAB, bool)
        mask[self.count % 2 :: 2] = True
        return mask

    def accept(self, token_id):
        assert token_id == self.forced() or token_id % 2 == self.count % 2
        self.count += 1


def test_guide_sees_what_it_sees_without_drafts():
    class Answers(Guesses):
        """Drafts the tokens of an answer that is known, with one wrong now and then."""

        def propose(self, request, num_rows, limit):
            known = len(request.output_ids)
            self.num_drafted += 1
            return [i ^ (n % 5 == 4) for n, i in enumerate(plain[known : known + min(limit, 8)])]

    def answer(speculation):
        request = greedy(PREFIX[:70], 50, guide=Alternating())
        (ids,) = finish(make(speculation=speculation), [request])
        return ids, request.guide.count

    plain, count = answer(None)
    drafts = Answers()
    assert answer(drafts) == (plain, count) == (plain, 50)
    assert drafts.num_drafted < 20


def test_request_waits_until_its_prompt_fits_beside_a_page_for_each_running_one():
    engine = make(num_pages=4, chunk=200, max_running=2)
    first, second = greedy(PREFIX[:100], 10), greedy(PREFIX[1:101], 10)
    engine.add(first)
    engine.step()
    engine.add(second)
    engine.step()
    assert engine.state[:2] == (1, 1)  # 2 pages would be left, one of which the first may need
    finish(engine, [])
    assert second.output_ids == expected(second.prompt_ids, 10)


def test_drafts_take_no_page_from_another_request():
    engine = make(num_pages=3, max_running=2, speculation=Guesses())
    prompts = [PREFIX[:62], PREFIX[64:126]]
    assert finish(engine, [greedy(p, 60) for p in prompts]) == [expected(p, 60) for p in prompts]


def test_idle_request_gives_way_at_once_and_what_it_computed_is_found():
    engine = make(num_pages=20, chunk=16)
    idle, real = greedy(PREFIX, 0, kind=Kind.IDLE), greedy([5, 6], 3)
    engine.add(idle)
    for _ in range(6):
        engine.step()
    engine.add(real)
    steps = 0
    while not real.finish_reason:
        assert [o.request for o in engine.step()] == [real]
        steps += 1
    assert steps == 3
    while engine.has_work:
        engine.step()
    assert (idle.finish_reason, idle.output_ids, idle.num_cached) == ("length", [], 96)
    follower = greedy([*PREFIX, 7], 2)
    assert finish(engine, [follower]) == [expected(follower.prompt_ids, 2)]
    assert follower.num_cached == len(PREFIX)


@pytest.mark.parametrize("num_steps", [0, 3])
def test_idle_request_whose_work_another_one_does_is_forgotten(num_steps):
    engine = make(num_pages=20, chunk=16)
    idle, other, real = (greedy(ids, 0, kind=Kind.IDLE) for ids in (PREFIX, [3, 4], [*PREFIX, 7]))
    for request in (idle, other):
        engine.add(request)
    for _ in range(num_steps):
        engine.step()
    real.kind, real.max_tokens = Kind.ANSWER, 2
    finish(engine, [real])
    assert (idle.finish_reason, other.finish_reason, len(engine.scheduler.idle)) == (None, "length", 0)
    assert real.num_cached == 16 * num_steps


def test_long_prompt_does_not_stall_a_running_answer():
    engine = make(num_pages=40, chunk=16)
    short, long = greedy([5, 6], 60), greedy(PREFIX * 3, 5)
    engine.add(short)
    engine.step()
    engine.add(long)
    for _ in range(20):
        engine.step()
    assert len(short.output_ids) == 21


def test_least_recently_used_pages_are_reused_first():
    engine = make(num_pages=8, max_running=1)
    old, new = [3] * (2 * PAGE_TOKENS), [4] * (2 * PAGE_TOKENS)
    finish(engine, [greedy(old, 1), greedy(new, 1), greedy([5] * (5 * PAGE_TOKENS), 1)])
    kept, lost = greedy(new, 1), greedy(old, 1)
    finish(engine, [kept])
    finish(engine, [lost])
    assert kept.num_cached > lost.num_cached


def test_step_that_was_cancelled_changes_nothing():
    class Interrupted(FakeModel):
        calls = 0

        def forward(self, batch, watch):
            self.calls += 1
            return None if self.calls == 2 else super().forward(batch, watch)

    engine = Engine(Interrupted(8, 6))
    prompt = list(range(2, 40))
    assert finish(engine, [greedy(prompt, 5)]) == [expected(prompt, 5)]
