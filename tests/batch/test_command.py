"""kimi-cpu batch as a person calls it."""

import json
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


def test_summary_goes_to_stdout_and_failed_lines_to_the_exit_code(tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a", 5), "{", request("b", 5, temperature=0)])
    args = command(source, "-o", tmp_path / "out.jsonl", "-m", tiny_file, "-c", 256, "--json")
    done = subprocess.run(args, capture_output=True, text=True)
    summary = json.loads(done.stdout)
    assert done.returncode == 3
    assert (summary["results"], summary["failed"], summary["completion_tokens"]) == (3, 1, 10)
    assert "3 of 3 requests, 1 failed" in done.stderr and "Traceback" not in done.stderr
    assert {line["custom_id"] for line in results(tmp_path / "out.jsonl")} == {"a", "b", None}


def test_zero_counts_among_the_options(tiny_file, tmp_path):
    source = write(tmp_path / "in.jsonl", [request("a", 12, ignore_eos=True)])
    texts = set()
    for seed in (1, 2):
        output = tmp_path / f"out-{seed}.jsonl"
        args = command(source, "-o", output, "-m", tiny_file, "-c", 256, "--temp", 0, "--seed", seed)
        assert subprocess.run(args, capture_output=True).returncode == 0
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
def test_mistakes_are_told_before_a_model_is_loaded(tmp_path, args, code, text):
    write(tmp_path / "in.jsonl", [request("a")])
    names = {
        "IN": tmp_path / "in.jsonl",
        "OUT": tmp_path / "out.jsonl",
        "FILE": tmp_path / "none.gguf",
        "DIRECTORY": tmp_path,
    }
    done = subprocess.run(command(*(names.get(a, a) for a in args)), capture_output=True, text=True)
    assert (done.returncode, text in done.stderr, "Traceback" in done.stderr) == (code, True, False)


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
