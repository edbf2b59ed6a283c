"""EngineThread: work in, results out, and nobody waits for a dead engine."""

import queue
import threading
import time
import weakref

import numpy as np
import pytest

from kimi_cpu.engine import Engine, EngineThread, Kind
from kimi_cpu.engine import thread as engine_thread
from kimi_cpu.errors import EngineDeadError

from .fake import VOCAB, FakeModel, expected, greedy


class BrokenModel(FakeModel):
    def forward(self, batch, watch):
        raise RuntimeError("out of luck")


def submit(thread, request):
    outbox = queue.SimpleQueue()
    thread.submit(request, outbox)
    return outbox


def drain(outbox):
    ids, reason = [], None
    while reason is None:
        output = outbox.get(timeout=20)
        if isinstance(output, BaseException):
            raise output
        ids += [output.token_id] if output.token_id is not None else []
        reason = output.finish_reason
    return ids


def test_requests_from_several_callers_are_answered():
    thread = EngineThread(Engine(FakeModel(16, 8), max_running=2))
    outboxes = [submit(thread, greedy([n, n + 1], 30)) for n in (3, 8, 20)]
    assert [drain(o) for o in outboxes] == [expected([n, n + 1], 30) for n in (3, 8, 20)]
    thread.close()


@pytest.mark.parametrize("kind", [Kind.ANSWER, Kind.IDLE])
def test_request_that_has_ended_is_held_by_nobody_while_the_thread_sleeps(kind):
    thread = EngineThread(Engine(FakeModel(16, 8)))
    request = greedy([3, 4], 5 if kind is Kind.ANSWER else 0, kind=kind)
    outbox, gone = submit(thread, request), threading.Event()
    weakref.finalize(request, gone.set)
    while outbox.get(timeout=20).finish_reason is None:
        pass
    del request
    assert gone.wait(20)
    request = greedy([5, 6], 5)
    gone = threading.Event()
    weakref.finalize(request, gone.set)
    thread.abort(request)
    del request
    assert gone.wait(20)
    thread.close()


def test_idle_thread_works_on_until_there_is_no_more_and_answers_in_between(monkeypatch):
    monkeypatch.setattr(engine_thread, "IDLE_SECONDS", 0.0)
    calls, answered, finished = [], threading.Event(), threading.Event()

    def idle():
        calls.append(threading.current_thread())
        if len(calls) == 3:
            assert answered.wait(20)  # of a request that comes meanwhile
        if len(calls) == 6:
            finished.set()
        return len(calls) < 6

    thread = EngineThread(Engine(FakeModel(16, 8)), idle=idle)
    outbox = submit(thread, greedy([3, 4], 5))
    answered.set()
    assert drain(outbox) == expected([3, 4], 5)
    assert finished.wait(20)
    assert drain(submit(thread, greedy([8, 9], 5))) == expected([8, 9], 5)
    thread.close()
    assert len(calls) == 6 and len(set(calls)) == 1


def test_failing_step_reaches_every_open_request_and_later_ones_are_refused():
    thread = EngineThread(Engine(BrokenModel(8, 8)))
    with pytest.raises(EngineDeadError, match="out of luck"):
        drain(submit(thread, greedy([3, 4], 5)))
    thread.close()
    with pytest.raises(EngineDeadError, match="out of luck"):
        submit(thread, greedy([3, 4], 5))


def test_call_that_waits_while_the_engine_dies_is_refused():
    class Dying(FakeModel):
        def forward(self, batch, watch):
            entered.set()
            assert leave.wait(20)
            raise RuntimeError("out of luck")

    def call():
        try:
            thread.call(called.append)
        except EngineDeadError as e:
            called.append(e)

    entered, leave, called = threading.Event(), threading.Event(), []
    thread = EngineThread(Engine(Dying(8, 8)))
    submit(thread, greedy([3, 4], 5))
    assert entered.wait(20)
    caller = threading.Thread(target=call)
    caller.start()
    while thread._inbox.empty():
        time.sleep(0.001)
    leave.set()
    caller.join(20)
    assert len(called) == 1 and "out of luck" in str(called[0])
    thread.close()


def test_closing_twice_is_harmless_and_ends_open_requests():
    thread = EngineThread(Engine(FakeModel(16, 2000)))
    outbox = submit(thread, greedy([3, 4], 100_000))
    thread.close()
    thread.close()
    with pytest.raises(EngineDeadError):
        drain(outbox)


def test_request_interrupts_the_step_of_an_idle_one():
    class Slow(FakeModel):
        """Its step over a long prompt ends only when it is cancelled."""

        def forward(self, batch, watch):
            if len(batch.token_ids) > 50:
                entered.set()
                while not watch(0, 1):
                    time.sleep(0.001)
                return None
            return super().forward(batch, watch)

    entered = threading.Event()
    thread = EngineThread(Engine(Slow(100, 8)))
    thread.submit(greedy([5] * 90, 0, kind=Kind.IDLE))
    assert entered.wait(20)
    assert drain(submit(thread, greedy([3, 4], 5))) == expected([3, 4], 5)
    thread.close()


class Long(FakeModel):
    """A step over more than 50 tokens runs until it is stopped from outside; it never asks."""

    def __init__(self):
        super().__init__(100, 8)
        self.entered, self.num_stopped = threading.Event(), 0

    def forward(self, batch, watch):
        if len(batch.token_ids) > 50:
            self.entered.set()
            give_up_at = time.monotonic() + 20
            while not watch.stop[0]:
                assert time.monotonic() < give_up_at
                time.sleep(0.001)
            self.num_stopped += 1
            return np.full((len(batch.logits_indices), VOCAB), np.nan, np.float32)
        return super().forward(batch, watch)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_step_is_ended_within_a_layer(how):
    model = Long()
    thread = EngineThread(Engine(model, max_running=2))
    good, bad = greedy([3, 4], 2000), greedy([5] * 90, 5)
    outbox, bad_outbox = submit(thread, good), submit(thread, bad)
    assert model.entered.wait(20)
    if how == "abort":
        thread.abort(bad)
        thread.abort(good)
    thread.close()
    assert model.num_stopped == 1
    for one in (outbox, bad_outbox):
        with pytest.raises(EngineDeadError if how == "close" else queue.Empty):
            while True:
                item = one.get(timeout=0.2)
                if isinstance(item, BaseException):
                    raise item


def test_request_interrupts_the_step_of_an_idle_one_within_a_layer():
    model = Long()
    thread = EngineThread(Engine(model))
    thread.submit(greedy([5] * 90, 0, kind=Kind.IDLE))
    assert model.entered.wait(20)
    model.entered.clear()
    assert drain(submit(thread, greedy([3, 4], 5))) == expected([3, 4], 5)
    assert model.num_stopped >= 1
    assert model.entered.wait(20)  # it is idle again, and in a step that `close` ends: this model does not ask
    thread.close()


def test_step_of_others_is_not_ended_for_a_small_part_of_it():
    model, leave = Long(), threading.Event()

    class Shared(FakeModel):
        def forward(self, batch, watch):
            if len(batch.token_ids) > 50 and not model.entered.is_set():
                model.entered.set()
                assert leave.wait(20)
                stops.append(int(watch.stop[0]))
            return super().forward(batch, watch)

    stops = []
    thread = EngineThread(Engine(Shared(100, 8), max_running=2))
    small, large = greedy([3, 4], 2000), greedy([5] * 90, 5)
    submit(thread, small)
    outbox = submit(thread, large)
    assert model.entered.wait(20)
    thread.abort(small)
    leave.set()
    assert drain(outbox) == expected([5] * 90, 5) and stops == [0]
    thread.close()


def test_abort_that_comes_late_does_not_end_the_next_step():
    class Late(FakeModel):
        """Remembers the flag at the beginning of each step, and aborts at the end of the first."""

        def forward(self, batch, watch):
            stops.append(int(watch.stop[0]))
            logits = super().forward(batch, watch)
            if len(stops) == 1:
                first.aborted = True
                engine.look()
            return logits

    stops, first, second = [], greedy([3, 4], 5), greedy([6, 7], 5)
    engine = Engine(Late(16, 8))
    engine.add(first)
    assert engine.step() == []
    engine.abort(first)
    engine.look()  # no step runs
    engine.add(second)
    while engine.has_work:
        engine.step()
    assert not first.output_ids and second.output_ids == expected([6, 7], 5) and not any(stops)


def test_long_step_tells_how_far_its_prompts_are():
    class Layers(FakeModel):
        def forward(self, batch, watch):
            for done in range(60):
                now[0] += 0.1
                assert not watch(done, 60)
            return super().forward(batch, watch)

    now, told = [0.0], []
    engine = Engine(Layers(40, 8), max_running=2)
    engine.clock, engine.report = lambda: now[0], told.append
    answer, prompt = greedy([3, 4], 9), greedy([5] * 60, 2)
    engine.add(answer)
    engine.step()
    assert {output.request for output in told} == {answer}
    told.clear()
    engine.add(prompt)
    engine.step()
    engine.step()
    assert {output.request for output in told} == {prompt}  # the answer's is computed
    counts = [output.num_computed for output in told]
    assert counts == sorted(counts) and 15 <= len(counts) <= 24 and 0 < counts[0] < counts[-1] < 60
    assert all(output[1:5] == (None, None, None, None) for output in told)
