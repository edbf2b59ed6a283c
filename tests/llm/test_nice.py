"""The threads that compute give way to other programs, and only they, and only when they are asked to."""

import os
import sys
from pathlib import Path

import pytest

import kimi_cpu
from kimi_cpu.errors import ConfigError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no niceness of its own")
OWN = os.getpriority(os.PRIO_PROCESS, 0)


def niceness():
    """That of each thread of this process, as Linux has it."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(t.name): int((t / "stat").read_text().rpartition(")")[2].split()[16]) for t in tasks}


def test_threads_that_compute_are_nice_and_no_others(tiny_file):
    before = niceness()
    with kimi_cpu.load(tiny_file, context=256, threads=2) as llm:
        expected = llm.generate("abc", max_tokens=5, temperature=0).token_ids
        assert set(niceness().values()) == {OWN}
    with kimi_cpu.load(tiny_file, context=256, threads=2, nice=5) as llm:
        assert llm.generate("abc", max_tokens=5, temperature=0).token_ids == expected
        told = niceness()
        assert all(told[thread] == OWN for thread in before.keys() & told.keys())
        assert list(told.values()).count(min(OWN + 5, 19)) == min(2, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("value", [-1, 20, "5", 1.5, True])
def test_niceness_that_cannot_be_is_refused(tiny_file, value):
    with pytest.raises(ConfigError, match="nice is"):
        kimi_cpu.load(tiny_file, nice=value)
