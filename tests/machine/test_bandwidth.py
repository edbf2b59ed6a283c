"""The memory's bandwidth: measured, kept, and never in the way."""

import pytest

from kimi_cpu.machine import MemoryBandwidth, Pass, bandwidth

QUIET_PASS, BUSY_PASS = Pass(threads=2, rate=29.123, cpu_share=0.99), Pass(threads=2, rate=11.0, cpu_share=0.5)


def on(folder, result=QUIET_PASS) -> MemoryBandwidth:
    return MemoryBandwidth(folder, lambda: result)


def not_again():
    pytest.fail("measured again")


def test_what_was_measured_is_remembered(tmp_path):
    assert on(tmp_path).measured() is None
    assert on(tmp_path).measure() == QUIET_PASS.rate
    assert on(tmp_path).measured() == pytest.approx(QUIET_PASS.rate, abs=0.01)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"GB/s": "much"}', '{"GB/s": null}', '{"GB/s": 29.0}'])
def test_a_broken_record_counts_as_none(tmp_path, text):
    (tmp_path / bandwidth.MEASURED).write_text(text)
    assert on(tmp_path).measured() is None


@pytest.mark.parametrize("name", ["missing", None])
def test_a_directory_that_cannot_be_written_is_no_error(tmp_path, name):
    memory = on(name and tmp_path / name)
    assert memory.measure() == QUIET_PASS.rate
    assert memory.measured() is None
    assert memory.to_compare_with(1.0) is None


def test_where_nothing_is_kept_no_run_measures_anew(tmp_path):
    assert MemoryBandwidth(None, not_again).to_compare_with(1.0) is None


def test_what_a_busy_machine_shows_is_not_kept(tmp_path):
    assert on(tmp_path, BUSY_PASS).measure() == BUSY_PASS.rate
    assert on(tmp_path).measured() is None


def test_memory_is_measured_again_for_a_run_that_was_faster(tmp_path):
    (tmp_path / bandwidth.MEASURED).write_text('{"threads": 2, "GB/s": 0.002, "beaten_by": 0.0}')
    assert MemoryBandwidth(tmp_path, not_again).to_compare_with(0.001) == 0.002
    assert on(tmp_path).to_compare_with(0.003) == pytest.approx(QUIET_PASS.rate, abs=0.01)


def test_a_run_that_read_from_the_caches_is_compared_with_nothing_and_measured_once(tmp_path):
    on(tmp_path).measure()
    assert on(tmp_path).to_compare_with(1e6) is None
    assert MemoryBandwidth(tmp_path, not_again).to_compare_with(1e6) is None


def test_a_process_with_little_memory_measures_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(bandwidth, "usable_memory", lambda: 1 << 30)
    memory = MemoryBandwidth(tmp_path, not_again)
    assert memory.measure() is None
    assert memory.to_compare_with(1.0) is None
