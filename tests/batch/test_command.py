"""kimi-cpu batch as a person calls it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime, timedelta

import click
import pytest

from kimi_cpu.cli.batch import DeadlineType

from .fake import request, results, write


def command(*args):
    return [sys.executable, "-m", "kimi_cpu", "batch", *map(str, args)]


def test_summary_goes_to_stdout_and_failed_lines_to_the_exit_code(kimi_cpu, tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a", 5), "{", request("b", 5, temperature=0)])
    done = kimi_cpu("batch", source, "-o", tmp_path / "out.jsonl", "-m", tiny_file, "-c", 256, "--json")
    summary = json.loads(done.out)
    assert done.code == 3
    assert (summary["results"], summary["failed"], summary["completion_tokens"]) == (3, 1, 10)
    assert "3 of 3 requests, 1 failed" in done.err and "Traceback" not in done.err
    assert {line["custom_id"] for line in results(tmp_path / "out.jsonl")} == {"a", "b", None}


def test_zero_counts_among_the_options(kimi_cpu, tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a", 12, ignore_eos=True)])
    texts = set()
    for seed in (1, 2):
        output = tmp_path / f"out-{seed}.jsonl"
        args = (source, "-o", output, "-m", tiny_file, "-c", 256, "--temp", 0, "--seed", seed)
        assert kimi_cpu("batch", *args).code == 0
        texts.add(results(output)[0]["response"]["body"]["choices"][0]["text"])
    assert len(texts) == 1


def test_sigterm_saves_what_there_is_and_the_same_command_goes_on(tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", [request(f"q-{i}", 1500, ignore_eos=True) for i in range(3)])
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    args = command(source, "-o", output, "-m", tiny_file, "-c", 2048, "--parallel", 3)
    process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
    while num_checkpoints(journal) == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 6
    assert told.splitlines()[-1] == "kimi-cpu: Stopped by SIGTERM; the same command goes on where it was."
    done = subprocess.run([*args, "--json"], capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["generated_tokens"] < 4500 - 32
    assert len(results(output)) == 3 and not journal.exists()


def num_checkpoints(journal):
    """Rows of tokens in a journal that another process holds."""
    if not journal.exists():
        return 0
    db = sqlite3.connect(f"file:{journal}?immutable=1", uri=True)
    try:
        return db.execute("SELECT COUNT(*) FROM tokens").fetchone()[0]
    except sqlite3.DatabaseError:  # it is being written
        return 0
    finally:
        db.close()


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["IN", "-o", "OUT", "-m", "DIRECTORY"], 2, "is a directory"),
        (["missing.jsonl", "-o", "OUT", "-m", "FILE"], 2, "missing.jsonl"),
        (["IN", "-o", "OUT", "-m", "FILE", "--shard", "4/3"], 1, "I/N"),
        (["IN", "-o", "OUT", "-m", "FILE", "--deadline", "soon"], 2, "soon"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(kimi_cpu, tmp_path, args, code, text):
    write(tmp_path / "in.jsonl", [request("a")])
    names = {
        "IN": tmp_path / "in.jsonl",
        "OUT": tmp_path / "out.jsonl",
        "FILE": tmp_path / "none.gguf",
        "DIRECTORY": tmp_path,
    }
    done = kimi_cpu("batch", *(names.get(a, a) for a in args))
    assert (done.code, text in done.err, "Traceback" in done.err) == (code, True, False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("8h", 28_800), ("90m", 5_400), ("1h30m5s", 5_405), ("45s", 45), ("45", 45)]
)
def test_deadline_may_be_a_span(text, seconds):
    assert DeadlineType().convert(text, None, None) == seconds


@pytest.mark.parametrize("minutes", [-5, 5])
def test_deadline_may_be_the_next_time_of_day(minutes):
    then = datetime.now() + timedelta(minutes=minutes)
    seconds = DeadlineType().convert(f"{then:%H:%M}", None, None)
    expected = 60 * minutes if minutes > 0 else 24 * 3600 + 60 * minutes
    assert expected - 120 <= seconds <= expected


def test_deadline_may_be_a_date_and_time():
    then = datetime.now() + timedelta(days=2)
    for text in (then.isoformat(), then.astimezone().isoformat()):
        assert 48 * 3600 - 60 < DeadlineType().convert(text, None, None) <= 48 * 3600


@pytest.mark.parametrize("text", ["", "soon", "25:00", "5x", "h"])
def test_deadline_that_cannot_be_read_is_refused(text):
    with pytest.raises(click.BadParameter):
        DeadlineType().convert(text, None, None)


@pytest.fixture
def folder(tmp_path):
    """A folder with two requests."""
    write(tmp_path / "in.jsonl", [request("a", 5), request("b", 6)])
    return tmp_path


@pytest.fixture
def batch(kimi_cpu, tiny_file, folder, monkeypatch):
    """kimi-cpu batch in that folder: called with a line of arguments, the model's follow."""
    monkeypatch.chdir(folder)
    return lambda line: kimi_cpu("batch", *line.split(), "-m", tiny_file, "-c", 256)


@pytest.fixture
def shell(tiny_file, folder):
    """A line of bash in that folder, in which BATCH stands for kimi-cpu batch and MODEL for the model's arguments."""

    def call(line):
        line = line.replace("BATCH", f"{sys.executable} -m kimi_cpu batch")
        line = line.replace("MODEL", f"-m {tiny_file} -c 256")
        return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, timeout=120)

    return call


@pytest.mark.parametrize(
    "out", ["fifo", "to_null", "to_stdout", "in.jsonl", "soft", "hard", ".", "notes.txt --no-resume"]
)
def test_output_that_must_not_be_written_is_refused_before_the_model_is_loaded(batch, tmp_path, out):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to_null").symlink_to("/dev/null")
    (tmp_path / "to_stdout").symlink_to("/dev/stdout")
    (tmp_path / "soft").symlink_to("in.jsonl")
    (tmp_path / "hard").hardlink_to(tmp_path / "in.jsonl")
    (tmp_path / "notes.txt").write_text("precious")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    done = batch(f"in.jsonl -o {out}")
    assert done.code in (1, 2) and done.err.count("\n") == 1 and not done.out
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("line", ["cat in.jsonl | BATCH -", "BATCH - < in.jsonl", "BATCH <(cat in.jsonl)"])
def test_requests_may_come_through_a_pipe(shell, tmp_path, line):
    for found in (0, 2):
        done = shell(f"{line.replace('BATCH', 'BATCH -o out.jsonl --json MODEL')}")
        summary = json.loads(done.stdout)
        assert (summary["results"], summary["found"], summary["failed"]) == (2, found, 0)
    assert {line["custom_id"] for line in results(tmp_path / "out.jsonl")} == {"a", "b"}


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/null"])
def test_requests_do_not_come_from_a_device(batch, source):
    done = batch(f"{source} -o out.jsonl")
    assert done.code == 1 and "is no file and no pipe" in done.err


def test_results_stream_to_stdout_and_stderr_says_what_that_means(batch, tmp_path):
    done = batch("in.jsonl -o - --ordered")
    assert [json.loads(line)["custom_id"] for line in done.out.splitlines()] == ["a", "b"]
    assert done.code == 0 and "results go to stdout, without a journal" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize("option", ["--resume", "--json"])
def test_stream_of_results_takes_no_option_that_needs_a_file(batch, option):
    assert batch(f"in.jsonl -o - {option}").code == 2


def test_reader_of_streamed_results_may_leave(shell, tmp_path):
    write(tmp_path / "in.jsonl", [request(f"q-{i}", 2) for i in range(3000)])
    done = shell("BATCH in.jsonl -o - MODEL | head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stdout.count(b"\n"), b"Traceback" in done.stderr) == (141, 1, False)


def test_other_model_or_options_after_the_end_are_refused(kimi_cpu, batch, tmp_path):
    assert batch("in.jsonl -o out.jsonl").code == 0
    before = (tmp_path / "out.jsonl").read_bytes()
    for other in ("--temp 0", "--seed 7", "--think-budget 5", "--compute f32"):
        assert batch(f"in.jsonl -o out.jsonl {other}").code != 0 and (tmp_path / "out.jsonl").read_bytes() == before
    assert kimi_cpu("batch", "in.jsonl", "-o", "out.jsonl", "-m", "/dev/null").code != 0
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(("ignored", "number"), [(False, signal.SIGHUP), (True, signal.SIGTERM)])
def test_hangup_is_as_sigterm_unless_it_is_ignored(tiny_file, tmp_path, ignored, number):
    source = write(tmp_path / "in.jsonl", [request(f"q-{i}", 1500, ignore_eos=True) for i in range(3)])
    args = command(source, "-o", tmp_path / "out.jsonl", "-m", tiny_file, "-c", 2048, "--parallel", 3)
    args = ["nohup", *args] if ignored else args
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while num_checkpoints(tmp_path / "out.jsonl.journal") == 0:
        assert process.poll() is None
        time.sleep(0.01)
    if ignored:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 6
    assert told.splitlines()[-1] == f"kimi-cpu: Stopped by {number.name}; the same command goes on where it was."
