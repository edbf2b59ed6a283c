"""Reads that several threads share: what is there is told once, and the first part as soon as it is."""

import threading

import numpy as np
import pytest

from kimi_cpu.residency import Reads
from kimi_cpu.residency.reading import PIECE

FIRST, ALL = 2 * PIECE + 4096, 5 * PIECE


class Slow:
    """A file of numbers whose bytes from FIRST on wait for `gate`, and which fails at `broken`."""

    def __init__(self):
        self.gate, self.closed, self.broken = threading.Event(), threading.Event(), None

    def read(self, offset, room):
        if offset >= FIRST:
            self.gate.wait()
        if offset == self.broken:
            raise OSError("broken")
        room[:] = offset // 4096 % 251

    def close(self):
        self.closed.set()


@pytest.fixture
def source():
    return Slow()


@pytest.fixture(params=[1, 4])
def reads(request, source):
    reads = Reads(source, request.param)
    yield reads
    source.gate.set()
    reads.close()


def told(reads):
    return [(done.key, done.is_whole, done.error is None) for done in reads.wait(10)]


def test_the_first_bytes_are_told_before_the_others_are_there(source, reads):
    room = np.full(ALL, 255, np.uint8)
    reads.ask(7, 0, room, FIRST)
    assert told(reads) == [(7, False, True)]
    assert (room[:FIRST] < 255).all() and (room[FIRST:] == 255).any()
    source.gate.set()
    assert told(reads) == [(7, True, True)]
    assert (room < 255).all()


def test_without_first_bytes_all_is_told_once(source, reads):
    source.gate.set()
    reads.ask(7, 0, np.zeros(ALL, np.uint8))
    assert told(reads) == [(7, True, True)]
    assert not reads.wait(0.01)


@pytest.mark.parametrize("broken", [0, FIRST])
def test_what_cannot_be_read_is_told_once_when_no_thread_reads_it_any_more(source, reads, broken):
    source.broken = broken
    source.gate.set()
    reads.ask(7, 0, np.zeros(ALL, np.uint8), FIRST)
    found = told(reads)
    while not found[-1][1]:
        found += told(reads)
    assert found[-1] == (7, True, False) and found[:-1] in ([], [(7, False, True)])
    assert not reads.wait(0.01)


def test_closing_waits_for_no_read_and_leaves_the_source_open_until_the_last_has_ended(source, reads):
    reads.ask(7, 0, np.zeros(ALL, np.uint8), FIRST)
    assert told(reads) == [(7, False, True)]
    reads.close()
    assert not source.closed.is_set()
    source.gate.set()
    assert source.closed.wait(10)
