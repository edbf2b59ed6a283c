"""The set of finished requests, on disk where temporary files may lie and in memory elsewhere."""

import tempfile

import pytest

from kimi_cpu.batch.results import Index, temporary_place


def nowhere():
    raise FileNotFoundError(2, "No usable temporary directory found")


@pytest.mark.parametrize("anywhere", [True, False])
def test_an_index_needs_no_place_for_temporary_files(monkeypatch, anywhere):
    if not anywhere:
        monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert temporary_place() == ("" if anywhere else ":memory:")
    index = Index()
    index.add_finished([(b"a", None), (b"b", b"digest")])
    assert b"a" in index and b"c" not in index
    index.close()
