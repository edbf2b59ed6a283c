"""The memory's bandwidth: measured, kept, and never in the way."""

import pytest

from kimi_cpu.kernels import bandwidth
from kimi_cpu.kernels.codegen import jit


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache directory, on a machine that counts as quiet."""
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    monkeypatch.setattr(bandwidth, "QUIET", 0.0)
    return tmp_path


def test_what_was_measured_is_remembered(cache):
    assert bandwidth.measured() is None
    rate = bandwidth.measure()
    assert rate > 0.1
    assert bandwidth.measured() == pytest.approx(rate, abs=0.01)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"GB/s": "much"}', '{"GB/s": null}', '{"GB/s": 29.0}'])
def test_a_broken_record_counts_as_none(cache, text):
    (cache / bandwidth.MEASURED).write_text(text)
    assert bandwidth.measured() is None


def test_a_directory_that_cannot_be_written_is_no_error(cache, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", cache / "missing")
    assert bandwidth.measure() > 0.1
    assert bandwidth.measured() is None
    monkeypatch.setattr(jit.CACHE, "folder", None)
    assert bandwidth.measure() > 0.1
    assert bandwidth.to_compare_with(1.0) is None


def test_what_a_busy_machine_shows_is_not_kept(cache, monkeypatch):
    monkeypatch.setattr(bandwidth, "QUIET", 1e9)
    bandwidth.measure()
    assert bandwidth.measured() is None


def test_memory_is_measured_again_for_a_run_that_was_faster(cache):
    (cache / bandwidth.MEASURED).write_text('{"threads": 2, "GB/s": 0.002, "beaten_by": 0.0}')
    assert bandwidth.to_compare_with(0.001) == 0.002
    assert bandwidth.to_compare_with(0.003) > 0.1


def test_a_run_that_read_from_the_caches_is_compared_with_nothing_and_measured_once(cache, monkeypatch):
    bandwidth.measure()
    assert bandwidth.to_compare_with(1e6) is None
    monkeypatch.setattr(bandwidth, "_measure", lambda: pytest.fail("measured again"))
    assert bandwidth.to_compare_with(1e6) is None


def test_a_process_with_little_memory_measures_nothing(cache, monkeypatch):
    monkeypatch.setattr(bandwidth, "usable_memory", lambda: 1 << 30)
    assert bandwidth.measure() is None
    assert bandwidth.to_compare_with(1.0) is None
