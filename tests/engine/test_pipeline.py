"""Several steps in flight at once, each for other requests: the tokens of one step after the other."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kimi_cpu.engine import Engine, EngineThread, Kind
from kimi_cpu.errors import EngineDeadError
from kimi_cpu.model import PAGE_TOKENS

from .fake import FakeModel, LateModel, expected, finish, greedy
from .test_thread import drain, submit

PROMPTS = [list(range(2, 2 + n)) for n in (3, 70, 1, 130)]


def begin(engine):
    """A step that is begun, and the future of what the model computes."""
    plan = engine.begin()
    return plan, engine.model.submit(plan.batch, plan.watch)


def requests_of(plan):
    return [scheduled.request for scheduled in plan.step]


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("model", [FakeModel, LateModel])
def test_answers_do_not_depend_on_the_steps_in_flight(model, depth):
    engine = Engine(model(16, 20, depth), max_running=4)
    assert finish(engine, [greedy(p, 40) for p in PROMPTS]) == [expected(p, 40) for p in PROMPTS]
    assert engine.cache.pool.num_free == 20


def test_second_step_begins_while_the_first_is_in_flight_and_is_for_other_requests():
    engine, one, other = Engine(LateModel(16, 20), max_running=2), greedy(range(2, 40), 9), greedy([5, 6], 9)
    engine.add(one)
    first = begin(engine)
    assert requests_of(first[0]) == [one] and engine.begin() is None  # nothing else could run
    engine.add(other)
    second = begin(engine)
    assert requests_of(second[0]) == [other] and engine.begin() is None
    assert not first[1].done() and not second[1].done()
    for plan, future in (second, first):  # in any order
        engine.finish(plan, future.result())
    assert one.num_computed == 16 and len(other.output_ids) == 1
    finish(engine, [])
    assert [one.output_ids, other.output_ids] == [expected(range(2, 40), 9), expected([5, 6], 9)]


def test_running_requests_are_divided_among_the_steps():
    engine, requests = Engine(LateModel(64, 20), max_running=5), [greedy([n, 3], 30) for n in range(5)]
    for request in requests[:3]:
        engine.add(request)
    flights = [begin(engine), begin(engine)]
    assert [requests_of(plan) for plan, _ in flights] == [requests[:2], requests[2:3]]
    for request in requests[3:]:
        engine.add(request)
    sizes = []
    for _ in range(6):
        plan, future = flights.pop(0)
        engine.finish(plan, future.result())
        flights.append(begin(engine))
        sizes.append(len(plan.step))
    assert sizes[2:] == [3, 2, 3, 2]
    engine.drain()
    finish(engine, [])
    assert all(request.output_ids == expected(request.prompt_ids, 30) for request in requests)


def test_what_a_step_in_flight_computes_is_found_when_it_is_finished():
    prompt = [7] * (PAGE_TOKENS + 10)
    engine = Engine(LateModel(200, 20, depth=3), max_running=3)
    first, early, late = (greedy(prompt, 3) for _ in range(3))
    engine.add(first)
    plan, future = begin(engine)
    engine.add(early)
    other, other_future = begin(engine)
    assert requests_of(other) == [early] and early.num_cached == 0
    assert engine.cache.export(first.tokens(0, len(prompt)))[0] == 0  # nor does a session get it
    engine.finish(plan, future.result())
    engine.add(late)
    begin(engine), begin(engine)
    assert late in engine.scheduler.in_flight and late.num_cached == PAGE_TOKENS
    engine.finish(other, other_future.result())
    engine.drain()
    finish(engine, [])
    assert all(request.output_ids == expected(prompt, 3) for request in (first, early, late))


@pytest.mark.parametrize("how", ["abort", "fail"])
def test_pages_of_a_request_that_ends_in_flight_are_free_when_its_step_is_finished(how):
    engine = Engine(LateModel(200, 4), max_running=2)
    gone, other = greedy([5] * (3 * PAGE_TOKENS - 1), 9), greedy([6] * 100, 20)
    engine.add(gone)
    plan, future = begin(engine)
    if how == "abort":
        engine.abort(gone)
    else:
        assert engine.fail(gone, ValueError("no")).finish_reason == "error"
    assert engine.state[:2] == (0, 0) and engine.has_work and engine.cache.pool.num_free == 1
    engine.add(other)
    assert engine.begin() is None  # there is no room for it yet
    assert engine.finish(plan, future.result()) == [] and engine.cache.pool.num_free == 4
    finish(engine, [])
    assert (other.output_ids, gone.output_ids) == (expected([6] * 100, 20), [])


def test_abort_ends_its_own_step_within_a_layer_and_no_other():
    engine, one, other = Engine(LateModel(16, 20), max_running=2), greedy([3, 4], 9), greedy([5, 6], 9)
    engine.add(one)
    engine.add(other)
    flights = [begin(engine), begin(engine)]
    one.aborted = True
    engine.look()
    assert [bool(plan.watch.stop[0]) for plan, _ in flights] == [True, False]
    engine.abort(one)
    assert [len(engine.finish(plan, future.result())) for plan, future in flights] == [0, 1]
    finish(engine, [])
    assert other.output_ids == expected([5, 6], 9)


def test_oldest_waits_for_the_pages_of_a_step_in_flight_and_then_takes_them():
    engine = Engine(LateModel(200, 6), max_running=2)
    old, young = greedy([5] * (2 * PAGE_TOKENS), 2 * PAGE_TOKENS), greedy([6] * (2 * PAGE_TOKENS - 9), 90)
    engine.add(old)
    flight = begin(engine)
    engine.add(young)
    other = begin(engine)
    assert requests_of(other[0]) == [young]
    others = engine.cache.pool.allocate(engine.cache.pool.num_free)
    engine.finish(flight[0], flight[1].result())
    assert engine.begin() is None and young.block_table  # old needs a page that young has, which is in flight
    engine.finish(other[0], other[1].result())
    assert requests_of(engine.begin()) == [old] and young in engine.scheduler.waiting
    engine.drain()
    engine.cache.pool.release(others)
    finish(engine, [])
    assert [r.output_ids for r in (old, young)] == [expected(r.prompt_ids, r.max_tokens) for r in (old, young)]


def test_idle_request_in_flight_gives_way_when_its_step_is_finished():
    engine = Engine(LateModel(16, 20), max_running=1)
    idle, real = greedy([5] * 60, 0, kind=Kind.IDLE), greedy([3, 4], 3)
    engine.add(idle)
    flight = begin(engine)
    engine.add(real)
    assert engine.begin() is None
    engine.finish(flight[0], flight[1].result())
    assert requests_of(engine.begin()) == [real]
    engine.drain()
    finish(engine, [])
    assert real.output_ids == expected([3, 4], 3)
    assert (idle.finish_reason, idle.num_cached) == ("length", 16)


def test_prompts_that_owe_time_do_not_run_beside_answers_in_flight():
    engine = Engine(LateModel(8, 30), max_running=2, fair=True)
    now = [0.0]
    engine.clock = lambda: now[0]
    answer, prompt = greedy([3, 4], 50), greedy(range(2, 90), 3)
    engine.add(answer)
    engine.step()
    engine.add(prompt)
    flights = [begin(engine), begin(engine)]
    assert [requests_of(plan) for plan, _ in flights] == [[answer], [prompt]]
    now[0] += 5
    for plan, future in flights:
        engine.finish(plan, future.result())
    flight = begin(engine)
    assert requests_of(flight[0]) == [answer] and engine.begin() is None
    now[0] += 6
    engine.finish(flight[0], flight[1].result())
    begin(engine)
    assert requests_of(engine.begin()) == [prompt]
    engine.drain()
    finish(engine, [])
    assert [answer.output_ids, prompt.output_ids] == [expected([3, 4], 50), expected(range(2, 90), 3)]


def test_step_that_fails_costs_only_itself():
    class Once(LateModel):
        num_left = 3

        def forward(self, batch, watch):
            self.num_left -= 1
            if not self.num_left:
                raise MemoryError("no more")
            return super().forward(batch, watch)

    engine, requests = Engine(Once(16, 20), max_running=4), [greedy(p, 40) for p in PROMPTS]
    for request in requests:
        engine.add(request)
    engine.step()
    engine.step()
    with pytest.raises(MemoryError):
        engine.step()
    finish(engine, [])
    assert [r.output_ids for r in requests] == [expected(p, 40) for p in PROMPTS]


class Threaded(FakeModel):
    """Computes its batches one after the other on a thread of its own, and takes its time."""

    lingers = 0.0  # seconds that a batch takes after it was ended

    def __init__(self, *sizes, seconds=0.001):
        super().__init__(*sizes)
        self.seconds, self.futures, self.most = seconds, [], 0
        self._worker = ThreadPoolExecutor(1)

    def submit(self, batch, watch):
        self.futures.append(self._worker.submit(self._compute, batch, watch))
        self.most = max(self.most, sum(not future.done() for future in self.futures))
        return self.futures[-1]

    def _compute(self, batch, watch):
        give_up_at = time.monotonic() + self.seconds
        while time.monotonic() < give_up_at and not watch(0, 1):
            time.sleep(0.0005)
        time.sleep(self.lingers)
        return super().forward(batch, watch)


def started(model, *requests):
    """A thread that begins when all requests are there, and their outboxes."""
    ready = threading.Event()
    thread = EngineThread(Engine(model, max_running=len(requests)), prepare=ready.wait)
    outboxes = [submit(thread, request) for request in requests]
    ready.set()
    return thread, outboxes


def test_thread_runs_a_model_that_computes_elsewhere():
    model = Threaded(16, 20, 3)
    thread = EngineThread(Engine(model, max_running=4))
    outboxes = [submit(thread, greedy(p, 40)) for p in PROMPTS]
    aborted = submit(thread, request := greedy([9, 9], 10**4))
    thread.abort(request)
    assert [drain(outbox) for outbox in outboxes] == [expected(p, 40) for p in PROMPTS]
    assert thread.call(lambda engine: engine.state)[:2] == (0, 0) and model.most > 1
    thread.close()
    with pytest.raises(queue.Empty):
        while True:
            assert not isinstance(aborted.get(block=False), BaseException)


def test_closing_waits_for_all_steps_in_flight():
    model = Threaded(16, 20, 2, seconds=20)
    model.lingers = 0.2
    thread, outboxes = started(model, greedy([4, 3], 10**4), greedy([5, 3], 10**4))
    while len(model.futures) < 2:
        time.sleep(0.001)
    started_s = time.monotonic()
    thread.close()
    assert all(future.done() for future in model.futures) and time.monotonic() - started_s < 10
    for outbox in outboxes:
        with pytest.raises(EngineDeadError):
            drain(outbox)


def test_dead_engine_waits_for_all_steps_in_flight():
    class Failing(Threaded):
        def _compute(self, batch, watch):
            if len(batch.token_ids) == 2:
                raise MemoryError("no more")
            return super()._compute(batch, watch)

    model = Failing(16, 20, 2, seconds=20)
    model.lingers = 0.2
    thread, outboxes = started(model, greedy([4, 5], 5), greedy([4, 5, 6, 7], 5))
    for outbox in outboxes:
        with pytest.raises(EngineDeadError, match="no more"):
            drain(outbox)
    started_s = time.monotonic()
    thread.close()
    assert len(model.futures) == 2 and all(future.done() for future in model.futures)
    assert time.monotonic() - started_s < 10
