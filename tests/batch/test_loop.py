"""The loop between jobs and results, without files: when it saves, and in which order things become safe."""

import queue
import threading

import pytest

from kimi_cpu.batch.loop import Loop
from kimi_cpu.batch.model import Answered, Grown, Tokens
from kimi_cpu.batch.output import Journal, Output, ResultFile
from kimi_cpu.batch.pacing import Limit
from kimi_cpu.batch.pool import Pool
from kimi_cpu.errors import OutOfDisk

from .test_source import job


class Memory:
    """A sink that keeps everything; reached is set when a checkpoint reaches a length."""

    def __init__(self, length=0):
        self.results, self.saved, self.safe, self.length = {}, {}, {}, length
        self.reached = threading.Event()

    def put(self, position, key, line):
        self.results[key] = line

    def checkpoint(self, key, digest, start, ids):
        saved = self.saved.setdefault(key, [])
        assert start == len(saved)
        saved.extend(ids)
        if len(saved) >= self.length:
            self.reached.set()

    def sync(self):
        self.safe = dict(self.results)


class Waiting:
    """A model whose answers have 9 ids and do not end before they are let."""

    identity, lag_s = {}, 0.0

    def __init__(self, end):
        self.end, self.events = end, queue.SimpleQueue()

    def connect(self, wake):
        self.wake = wake

    def start(self, job, resume):
        self.tell(Grown(job.key, list(range(9))))
        threading.Thread(target=self.finish, args=(job.key,), daemon=True).start()

    def finish(self, key):
        assert self.end.wait(20)
        self.tell(Answered(key, {"ids": list(range(9))}, Tokens(1, 0, 9)))

    def tell(self, event):
        self.events.put(event)
        self.wake()

    def poll(self):
        return [self.events.get() for _ in range(self.events.qsize())]

    def cancel(self):
        self.end.set()


def loop(model, sink, stopped=lambda: False, report=lambda tally: None):
    pool = Pool([model], lambda: Limit(2, fixed=True))
    return Loop(pool, sink, bytes(16), lambda key, digest: [], stopped, report, 0.001, 1)


def test_checkpoint_never_holds_the_last_id_which_may_be_the_end():
    sink = Memory(8)
    loop(Waiting(sink.reached), sink).run(iter([(0, job("a"))]))
    assert list(sink.saved.values()) == [list(range(8))]
    assert list(sink.safe) == [job("a").key]


def test_results_count_when_they_are_safe_and_not_before():
    sink, counts = Memory(8), []
    loop(Waiting(sink.reached), sink, report=lambda tally: counts.append((tally.completed, len(sink.safe)))).run(
        iter([(0, job("a"))])
    )
    assert counts[-1] == (1, 1) and all(completed == safe for completed, safe in counts)


def test_stopped_loop_saves_answers_and_cancels_them():
    sink = Memory(3)
    model = Waiting(threading.Event())
    loop(model, sink, stopped=sink.reached.is_set).run(iter([(0, job("a"))]))
    assert model.end.is_set() and not sink.results
    assert list(sink.saved.values()) == [list(range(8))]


def test_journal_forgets_an_answer_only_when_its_result_is_on_the_disk(tmp_path):
    class Full(ResultFile):
        def sync(self):
            raise OutOfDisk("full")

    journal = Journal(tmp_path / "journal", {}, fresh=False)
    output = Output(Full(tmp_path / "out"), journal, ordered=False)
    output.checkpoint(b"key", b"asked", 0, [1, 2, 3])
    journal.commit(0)
    output.put(0, b"key", b"line\n")
    with pytest.raises(OutOfDisk):
        output.sync()
    assert journal.tokens(b"key", b"asked") == [1, 2, 3]
    journal.close()
    again = Journal(tmp_path / "journal", {}, fresh=False)
    assert again.tokens(b"key", b"asked") == [1, 2, 3]


def test_tokens_behind_a_gap_are_not_taken(tmp_path):
    journal = Journal(tmp_path / "journal", {}, fresh=False)
    for start, ids in ((0, [1, 2]), (2, [3]), (9, [4])):
        journal.add_tokens(b"key", b"asked", start, ids)
    assert journal.tokens(b"key", b"asked") == [1, 2, 3]
    journal.forget_tokens([b"key"])
    assert journal.tokens(b"key", b"asked") == []
