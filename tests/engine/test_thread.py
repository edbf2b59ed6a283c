"""EngineThread: work in, results out, and nobody waits for a dead engine."""

import queue
import threading
import time

import pytest

from kimi_cpu.engine import Engine, EngineThread
from kimi_cpu.errors import EngineDeadError

from .fake import VOCAB, FakeCache, FakeModel, expected, greedy


class BrokenModel(FakeModel):
    def forward(self, batch, cache, cancelled):
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
    thread = EngineThread(Engine(FakeModel(16), FakeCache(8), VOCAB, max_running=2))
    outboxes = [submit(thread, greedy([n, n + 1], 30)) for n in (3, 8, 20)]
    assert [drain(o) for o in outboxes] == [expected([n, n + 1], 30) for n in (3, 8, 20)]
    thread.close()


def test_failing_step_reaches_every_open_request_and_later_ones_are_refused():
    thread = EngineThread(Engine(BrokenModel(), FakeCache(8), VOCAB))
    with pytest.raises(EngineDeadError, match="out of luck"):
        drain(submit(thread, greedy([3, 4], 5)))
    thread.close()
    with pytest.raises(EngineDeadError, match="out of luck"):
        submit(thread, greedy([3, 4], 5))


def test_closing_twice_is_harmless_and_ends_open_requests():
    thread = EngineThread(Engine(FakeModel(16), FakeCache(2000), VOCAB))
    outbox = submit(thread, greedy([3, 4], 100_000))
    thread.close()
    thread.close()
    with pytest.raises(EngineDeadError):
        drain(outbox)


def test_request_interrupts_the_step_of_an_idle_one():
    class Slow(FakeModel):
        """Its step over a long prompt ends only when it is cancelled."""

        def forward(self, batch, cache, cancelled):
            if len(batch.token_ids) > 50:
                entered.set()
                while not cancelled():
                    time.sleep(0.001)
                return None
            return super().forward(batch, cache, cancelled)

    entered = threading.Event()
    thread = EngineThread(Engine(Slow(100), FakeCache(8), VOCAB))
    thread.submit(greedy([5] * 90, 0, idle=True))
    assert entered.wait(20)
    assert drain(submit(thread, greedy([3, 4], 5))) == expected([3, 4], 5)
    thread.close()
