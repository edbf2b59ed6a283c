"""Pages of a mapped file are brought to memory before somebody needs them."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.residency import preload

PAGES = 40_000  # more than two pieces


def mapped_bytes(path):
    """Of the maps of a file, those that are there for this process."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        fields = line.split()
        if "-" in fields[0] and ":" not in fields[0]:
            inside = fields[-1] == str(path)
        elif inside and fields[0] == "Rss:":
            total += int(fields[1]) << 10
    return total


@pytest.fixture
def file(tmp_path):
    """A file of 164 MB, most of it a hole."""
    path = tmp_path / "file"
    with path.open("wb") as out:
        out.write(b"first")
        out.truncate(PAGES * 4096)
    return path


def test_all_pages_are_there_after_it_and_progress_is_told(file):
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    told = []
    assert mapped_bytes(file) == 0
    preload(np.frombuffer(mapped, np.uint8), lambda *progress: told.append(progress))
    assert mapped_bytes(file) == PAGES * 4096
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (PAGES * 4096, PAGES * 4096)


def test_progress_that_raises_ends_it(file):
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def give_up(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preload(np.frombuffer(mapped, np.uint8), give_up)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_model_that_fits_is_read_when_it_is_loaded_unless_it_is_not_wanted(tiny_file, wanted):
    with kimi_cpu.load(tiny_file, preload=wanted, context=64):
        whole = mapped_bytes(tiny_file) >= os.path.getsize(tiny_file)
        assert whole or not wanted
