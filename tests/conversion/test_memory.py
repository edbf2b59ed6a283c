"""A conversion gives back the memory that reading its source fills, and writes the same file."""

import sys

import numpy as np
import pytest

from kimi_cpu import convert
from kimi_cpu.conversion import blueprint
from kimi_cpu.conversion.source import Source
from kimi_cpu.conversion.source_files import LARGE_PAGE, MappedFile, joined
from kimi_cpu.conversion.verify import verify
from tests import tiny

MIB = 1 << 20


def resident_file_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssFile")) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says how much is resident")
def test_pages_that_were_read_leave_the_process_and_can_be_read_again(tmp_path):
    path, words = tmp_path / "file", np.arange(64 * MIB // 8)
    words.tofile(path)
    mapped = MappedFile(path)
    view = mapped.view(0, 64 * MIB).view(np.int64)
    assert view.sum() == words.sum()
    full = resident_file_bytes()
    mapped.unmap_pages()
    mapped.forget(0, 64 * MIB)
    assert full - resident_file_bytes() > 60 * MIB
    assert view.sum() == words.sum()
    mapped.close()
    assert view[-1] == words[-1]


@pytest.mark.parametrize("layout", ["native", "standard"])
def test_a_conversion_that_gives_back_at_every_part_makes_the_same_file(tmp_path, monkeypatch, layout):
    source = tiny.make(tmp_path / "in")
    convert(source, tmp_path / "seldom.gguf", layout=layout)
    given = []
    give_back = Source.give_back
    monkeypatch.setattr(blueprint, "GIVE_BACK_BYTES", 1)
    monkeypatch.setattr(Source, "give_back", lambda self, done: given.extend(done) or give_back(self, done))
    convert(source, tmp_path / "always.gguf", layout=layout, jobs=2)
    assert (tmp_path / "always.gguf").read_bytes() == (tmp_path / "seldom.gguf").read_bytes()
    assert ("model.layers.1.mlp.experts.3.up_proj", 0, 32) in given
    if layout == "native":
        given.clear()
        verify(tmp_path / "always.gguf", source, jobs=2)
        assert ("model.layers.1.mlp.experts.3.up_proj", 0, 32) in given


def test_pieces_that_are_near_each_other_are_forgotten_at_once():
    near, far = LARGE_PAGE + 10, 9 * LARGE_PAGE + 10
    pieces = [("a", near, near + 5), ("a", near + 20, near + 30), ("a", far, far + 1), ("b", 0, 7)]
    assert list(joined(pieces)) == [
        ("a", LARGE_PAGE, near + 30),
        ("a", 9 * LARGE_PAGE, far + 1),
        ("b", 0, 7),
    ]
    assert list(joined([])) == []
