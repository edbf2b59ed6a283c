"""The memory's bandwidth: measured, kept, and never in the way."""

import pytest

from kimi_cpu.kernels import bandwidth, jit


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache directory."""
    monkeypatch.setattr(jit, "CACHE", tmp_path)
    return tmp_path


def test_what_was_measured_is_remembered(cache):
    assert bandwidth.measured() is None
    rate = bandwidth.measure()
    assert rate > 0.1
    assert bandwidth.measured() == pytest.approx(rate, abs=0.01)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"GB/s": "much"}', '{"GB/s": null}'])
def test_a_broken_record_counts_as_none(cache, text):
    (cache / bandwidth.MEASURED).write_text(text)
    assert bandwidth.measured() is None


def test_a_directory_that_cannot_be_written_is_no_error(cache, monkeypatch):
    monkeypatch.setattr(jit, "CACHE", cache / "missing")
    assert bandwidth.measure() > 0.1
    assert bandwidth.measured() is None
