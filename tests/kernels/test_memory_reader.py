"""The kernels read memory, and say how fast."""

import threading

from kimi_cpu.kernels import memory_reader
from kimi_cpu.kernels.codegen import jit
from kimi_cpu.machine import usable_cores
from kimi_cpu.plan import memory_bandwidth


def test_the_fastest_pass_says_its_speed_and_leaves_no_thread():
    before = threading.active_count()
    best = memory_reader.fastest_pass()
    assert best.threads == usable_cores() and best.rate > 0.1 and best.cpu_share > 0
    assert threading.active_count() == before


def test_the_bandwidth_is_kept_beside_the_compiled_code(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    monkeypatch.setattr("kimi_cpu.machine.bandwidth.QUIET", 0.0)  # this machine counts as quiet
    rate = memory_bandwidth().measure()
    assert rate > 0.1 and abs(memory_bandwidth().measured() - rate) <= 0.01
