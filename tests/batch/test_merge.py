"""Outputs joined: each request's result once, answers before failures."""

import io
import os
import subprocess
import sys

import pytest

from kimi_cpu.batch.results import Digests, Failure, failure, key_of_id, merge, success
from kimi_cpu.errors import ConfigError


def digests(request, run):
    return Digests(request.ljust(16).encode(), run.ljust(16).encode())


def good(name, text=None, request="asked", run="run"):
    return success(key_of_id(name), name, {"text": text or name, "created": 1}, digests(request, run))


def bad(name, request="asked", run="run"):
    return failure(key_of_id(name), name, Failure("no"), digests(request, run))


def unnamed(line):
    """A line as it was before results said what they answer."""
    return line[: line.index(b', "kimi_cpu"')] + b"}\n"


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


def test_command_writes_a_whole_file_or_none(kimi_cpu, tmp_path):
    (tmp_path / "a").write_bytes(good("a"))
    (tmp_path / "b").write_bytes(good("b") + b"nonsense\n")
    (tmp_path / "out").write_bytes(good("old"))
    args = ["merge", tmp_path / "a", tmp_path / "b"]
    done = kimi_cpu(*args, "-o", tmp_path / "out", "--force")
    assert (done.code, (tmp_path / "out").read_bytes()) == (1, good("old"))
    assert "line 2" in done.err and done.err.count("\n") == 1
    (tmp_path / "b").write_bytes(good("b"))
    done = kimi_cpu(*args)
    assert (done.code, done.out.encode()) == (0, good("a") + good("b"))


def test_results_of_another_run_are_refused_with_both_places(tmp_path):
    with pytest.raises(ConfigError, match=r"1\.jsonl, line 2, comes of another model, .* than .*0\.jsonl, line 1\."):
        merged(tmp_path, [good("a"), good("b")], [good("c"), good("d", run="another")])


def test_answers_to_different_requests_of_one_custom_id_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"1\.jsonl, line 1, answers another request than .*0\.jsonl, line 1, under"):
        merged(tmp_path, [good("a")], [good("a", request="another")])


def test_answer_to_a_mended_request_is_taken_before_its_failure(tmp_path):
    assert merged(tmp_path, [bad("a")], [good("a", request="mended")])[1] == good("a", request="mended")
    assert merged(tmp_path, [good("a", request="mended")], [bad("a")])[1] == good("a", request="mended")


def test_answers_that_differ_are_counted_and_times_do_not_matter(tmp_path):
    again = good("b").replace(b'"created": 1', b'"created": 2')
    counts, out = merged(tmp_path, [good("a"), good("b")], [good("a", text="other"), again])
    assert (counts.num_different, out) == (1, good("a") + good("b"))


def test_results_of_before_are_taken_and_counted(tmp_path):
    counts, out = merged(tmp_path, [unnamed(good("a")), unnamed(bad("b"))], [good("c"), good("a")])
    assert (counts.num_unnamed, counts.num_different) == (2, 0)
    assert out == unnamed(good("a")) + unnamed(bad("b")) + good("c")


def shell(line, folder):
    line = f"ulimit -v 4000000; {sys.executable} -m kimi_cpu {line}"
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, timeout=60)


@pytest.mark.parametrize("sources", ["<(cat a) <(cat b)", "a <(cat b)", "/dev/stdin b < a"])
def test_pipes_are_merged_as_files_are(tmp_path, sources):
    (tmp_path / "a").write_bytes(bad("a") + good("b"))
    (tmp_path / "b").write_bytes(good("a"))
    done = shell(f"merge {sources}", tmp_path)
    assert (done.returncode, done.stdout) == (0, good("b") + good("a")), done.stderr


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("merge /dev/zero", b"/dev/zero is no file and no pipe"),
        ("merge <(yes)", b"line 1, is no result of kimi-cpu batch"),
    ],
)
def test_input_without_end_is_one_sentence(tmp_path, line, text):
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert text in done.stderr and not contents(tmp_path)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("merge a -o a", "a is an input"),
        ("merge a -o hard", "hard is an input"),
        ("merge a -o soft", "a is an input"),
        ("merge a.partial -o a", "a.partial is an input"),
        ("merge a -o notes", "notes is no result of kimi-cpu batch, so it is never replaced"),
        ("merge a -o notes --force", "notes is no result of kimi-cpu batch, so it is never replaced"),
        ("merge a -o b", "b exists; --force replaces it"),
        ("merge a -o to_null", "to_null is no regular file; name one"),
        ("merge a -o to_stdout", "to_stdout is no regular file; name one"),
        ("merge a -o fifo", "fifo is no regular file; name one"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_destroys_nothing(kimi_cpu, monkeypatch, tmp_path, line, text):
    (tmp_path / "a").write_bytes(good("a"))
    (tmp_path / "b").write_bytes(good("b"))
    (tmp_path / "a.partial").write_bytes(good("c"))
    (tmp_path / "notes").write_bytes(b"precious\n")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "soft").symlink_to("a")
    (tmp_path / "to_null").symlink_to("/dev/null")
    (tmp_path / "to_stdout").symlink_to("/dev/stdout")
    os.mkfifo(tmp_path / "fifo")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = kimi_cpu(*line.split())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert text in done.err
    assert contents(tmp_path) == before


def contents(folder):
    """What a folder holds, links as such."""
    return {p.name: os.readlink(p) if p.is_symlink() else p.is_file() and p.read_bytes() for p in folder.iterdir()}


def test_dash_is_stdout_and_force_replaces_results(kimi_cpu, monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(good("a"))
    (tmp_path / "b").write_bytes(good("b"))
    monkeypatch.chdir(tmp_path)
    assert kimi_cpu("merge", "a", "-o", "-").out.encode() == good("a")
    assert kimi_cpu("merge", "a", "-o", "b", "--force").code == 0
    assert (tmp_path / "b").read_bytes() == good("a") and not (tmp_path / "-").exists()
