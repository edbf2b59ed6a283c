"""Outputs joined: each request's result once, answers before failures."""

import io
import subprocess
import sys

import pytest

from kimi_cpu.batch.merge import merge
from kimi_cpu.batch.results import Failure, failure, key_of_id, success
from kimi_cpu.errors import ConfigError


def good(name):
    return success(key_of_id(name), name, {"text": name})


def bad(name):
    return failure(key_of_id(name), name, Failure("no"))


def merged(tmp_path, *contents):
    paths = [tmp_path / f"{i}.jsonl" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(b"".join(content))
    out = io.BytesIO()
    return merge(paths, out), out.getvalue()


def test_results_keep_the_order_of_files_and_lines(tmp_path):
    counts, out = merged(tmp_path, [good("b"), good("a")], [good("d"), bad("c")])
    assert out == good("b") + good("a") + good("d") + bad("c")
    assert (counts.num_results, counts.num_failed, counts.num_duplicates) == (4, 1, 0)


def test_answer_is_taken_before_a_failure_and_the_first_before_others(tmp_path):
    counts, out = merged(tmp_path, [bad("a"), good("b")], [good("a"), good("b")], [bad("b"), bad("c"), bad("c")])
    assert out == good("b") + good("a") + bad("c")
    assert (counts.num_results, counts.num_failed, counts.num_duplicates) == (3, 1, 4)


def test_line_that_was_cut_off_is_left_out(tmp_path):
    assert merged(tmp_path, [good("a"), good("b")[:-9]], [good("c")])[1] == good("a") + good("c")


def test_file_of_something_else_is_refused_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"0\.jsonl, line 2"):
        merged(tmp_path, [good("a"), b"{}\n"])


def test_command_writes_a_whole_file_or_none(tmp_path):
    (tmp_path / "a").write_bytes(good("a"))
    (tmp_path / "b").write_bytes(good("b") + b"nonsense\n")
    (tmp_path / "out").write_bytes(b"old")
    merge_command = [sys.executable, "-m", "kimi_cpu", "merge", tmp_path / "a", tmp_path / "b"]
    done = subprocess.run([*merge_command, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "out").read_bytes()) == (1, b"old")
    assert "line 2" in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "b").write_bytes(good("b"))
    done = subprocess.run(merge_command, capture_output=True)
    assert (done.returncode, done.stdout) == (0, good("a") + good("b"))
