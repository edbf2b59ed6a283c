"""The rate of a disk is that of a file that is large enough to be read past the page cache."""

from kimi_cpu.machine import disk_rate
from kimi_cpu.machine.disk import LEAST


def test_small_file_says_nothing(tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 1000)
    assert disk_rate(tmp_path / "small") is None


def test_large_file_is_read_at_some_rate(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LEAST)  # a hole: no file system needs long for it
    rate = disk_rate(tmp_path / "large")
    assert rate is None or rate > 0.0  # None where the file system knows no reads past the page cache
