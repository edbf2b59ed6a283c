"""Runs from file to file over a model of numbers: what comes out, in which order, and what a second run adds."""

import errno
import json
import os
import re
import resource
import sqlite3
import stat
import threading

import pytest

from kimi_cpu.batch import BatchOptions, Run, Shard
from kimi_cpu.batch.model import Failed, Grown
from kimi_cpu.batch.output import Journal, ResultFile
from kimi_cpu.batch.results import Failure
from kimi_cpu.errors import ConfigError, OutOfDisk

from .fake import FakeModel, answer, answers, interrupted, request, results, run, token, write

COUNTS = {f"q-{i}": 1 + i * 7 % 40 for i in range(60)}


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "in.jsonl", [request(name, count) for name, count in COUNTS.items()])


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.jsonl"


def expected():
    return {name: answer(name, count) for name, count in COUNTS.items()}


def test_every_request_gets_its_answer_in_openais_shape(source, output):
    progress = run(source, output)
    assert answers(output) == expected()
    assert (progress.num_done, progress.num_failed, progress.tally.tokens.completion) == (60, 0, sum(COUNTS.values()))
    line = results(output)[0]
    assert set(line) == {"id", "custom_id", "response", "error", "kimi_cpu"} and line["error"] is None
    assert set(line["response"]) == {"status_code", "request_id", "body"} and line["response"]["status_code"] == 200


def test_journal_is_gone_when_the_run_is_complete(source, output):
    run(source, output)
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_second_run_does_nothing_and_adds_what_is_new(source, output):
    run(source, output)
    before = output.read_bytes()
    model = FakeModel()
    assert run(source, output, model).num_found == 60
    assert (output.read_bytes(), model.num_steps) == (before, 0)
    write(source, [*source.read_text().splitlines(), request("new", 5)])
    run(source, output, model)
    assert output.read_bytes().startswith(before) and model.order == ["new"]


def test_wrong_lines_become_results_and_the_others_are_answered(output, tmp_path):
    lines = [
        "{not json",
        request("a"),
        request("a", 5),
        '"text"',
        json.dumps({"custom_id": "b", "method": "GET", "url": "/v1/completions", "body": {}}),
        request("c", url="/v1/embeddings"),
        json.dumps({"method": "POST", "url": "/v1/completions", "body": {}}),
        json.dumps({"custom_id": "d", "url": "/v1/completions", "body": {"prompt": "x"}}),
        json.dumps({"custom_id": "e", "url": "/v1/completions", "body": {}, "boddy": 1}),
        json.dumps({"custom_id": "f", "url": "/v1/completions", "body": []}),
        '{"custom_id": "g", "url": "/v1/completions", "body": {"max_tokens": NaN}}',
        "[" * 100_000,
        "",
        request("last \ud800 \u2028", 2),
    ]
    source = write(tmp_path / "in.jsonl", lines)
    for _ in range(2):  # the second run finds all of them answered
        progress = run(source, output)
        assert (progress.num_done, progress.num_failed) == (13, 11)
    found = {}
    for line in results(output):
        assert line["error"] is None
        body = line["response"]["body"]
        if line["response"]["status_code"] == 200:
            found[line["custom_id"]] = len(body["ids"])
        else:
            assert set(body["error"]) == {"message", "type", "param", "code"}
            found[line["custom_id"], body["error"]["code"], body["error"]["param"]] = body["error"]["message"]
    assert found.pop("a") == 3 and found.pop("last \ud800 \u2028") == 2
    assert set(found) == {
        (None, "invalid_json_line", None),
        ("a", "duplicate_custom_id", "custom_id"),
        ("b", "invalid_method", "method"),
        ("c", "invalid_url", "url"),
        (None, "missing_required_parameter", "custom_id"),
        ("d", None, "max_tokens"),
        ("e", "unknown_parameter", "boddy"),
        ("f", "missing_required_parameter", "body"),
    }


def test_line_that_is_too_long_is_one_result(output, tmp_path, monkeypatch):
    monkeypatch.setattr("kimi_cpu.batch.source.MAX_LINE_BYTES", 1000)
    source = write(tmp_path / "in.jsonl", [request("a"), "x" * 5000, request("b")])
    assert run(source, output).num_failed == 1
    assert [line["custom_id"] for line in results(output)].count(None) == 1


def test_text_lines_are_users_messages(output, tmp_path):
    class Echo(FakeModel):
        def answer(self, job, resume):
            job.body["max_tokens"] = 1
            self.resumed[job.custom_id] = (job.url, job.body["messages"])
            return super().answer(job, resume)

    class Recording(Echo):
        seen = {}

        def answer(self, job, resume):
            self.seen[job.custom_id] = job.body["messages"][0]["content"]
            return super().answer(job, resume)

    source = tmp_path / "in.txt"
    source.write_bytes("\ufeffwhy?\r\n\n  {not json} ü\n".encode() + b"\xff\n")
    model = Recording()
    assert run(source, output, model, text=True).num_failed == 1
    assert model.seen == {"line-1": "why?", "line-3": "  {not json} ü"}
    assert {line["custom_id"] for line in results(output)} == {"line-1", "line-3", "line-4"}


def test_ordered_output_has_the_order_of_the_input(source, output):
    run(source, output, FakeModel(0.0005), ordered=True, parallel=16)
    assert list(answers(output)) == list(COUNTS)
    assert answers(output) == expected()


@pytest.mark.parametrize("ordered", [False, True])
def test_stopped_run_goes_on_from_its_checkpoints(source, output, ordered):
    assert interrupted(source, output, 400, ordered=ordered, parallel=8).num_done < 60
    model = FakeModel()
    assert run(source, output, model, ordered=ordered, parallel=8).num_done == 60
    assert answers(output) == expected()
    assert not ordered or list(answers(output)) == list(COUNTS)
    known = [name for name, ids in model.resumed.items() if ids]
    assert known and all(model.resumed[name] == expected()[name][: len(model.resumed[name])] for name in known)
    assert model.num_steps == sum(COUNTS[name] - len(ids) for name, ids in model.resumed.items())


def test_long_answer_does_not_hold_the_others_back(output, tmp_path):
    model = FakeModel(0.001)
    source = write(tmp_path / "in.jsonl", [request("a-long", 300), *(request(f"b-{i}", 5) for i in range(40))])
    run(source, output, model, parallel=4)
    assert results(output)[-1]["custom_id"] == "a-long"


def test_shards_merged_are_one_run(source, tmp_path):
    whole = tmp_path / "whole.jsonl"
    run(source, whole)
    parts = {}
    for text in ("1/3", "2/3", "3/3"):
        path = tmp_path / f"{text[0]}.jsonl"
        run(source, path, shard=Shard.parse(text))
        assert 5 < len(answers(path)) < 40
        assert not parts.keys() & answers(path).keys()
        parts |= answers(path)
    assert parts == answers(whole)


def test_shard_zero_is_the_last_one():
    assert Shard.parse("0/3") == Shard.parse("3/3")


@pytest.mark.parametrize("text", ["", "3", "4/3", "1/0", "-1/3", "a/b", "1/3/3"])
def test_shard_that_cannot_be_is_refused(text):
    with pytest.raises(ConfigError, match="I/N"):
        Shard.parse(text)


@pytest.mark.parametrize("torn", [b'{"id": "ba', b'{"id": "batch_req_00', "LINE"])
def test_torn_last_line_is_cut_off_and_its_request_runs_again(source, output, torn):
    run(source, output)
    lines = output.read_bytes().splitlines(keepends=True)
    torn = lines[-1][:-5] if torn == "LINE" else torn
    output.write_bytes(b"".join(lines[:-1]) + torn)
    model = FakeModel()
    run(source, output, model)
    assert answers(output) == expected() and len(model.order) == 1


def test_lines_after_the_last_sync_are_checked_where_a_run_was_interrupted(output):
    good = run_one(output)
    output.write_bytes(good + b"\0" * 500 + b"\n" + good)
    file = ResultFile(output)
    assert len(list(file.recover(len(good)))) == 1
    assert output.read_bytes() == good


def run_one(output):
    source = write(output.with_name("one.jsonl"), [request("one")])
    run(source, output)
    return output.read_bytes()


@pytest.mark.parametrize("content", [b"my precious notes\n", b"my precious notes", b'{"custom_id": "x"}\n'])
def test_file_of_something_else_is_left_alone(source, output, content):
    output.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ConfigError, match="no result of kimi-cpu batch"):
            run(source, output)
        with pytest.raises(ConfigError, match="no result of kimi-cpu batch, so it is never replaced"):
            run(source, output, resume=False)
        assert output.read_bytes() == content
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_file_of_something_else_is_left_alone_beside_a_journal_too(source, output):
    journal = output.with_name("out.jsonl.journal")
    output.write_bytes(b"my precious notes\n")
    journal.touch()
    Journal(journal, {"model": "x"}, fresh=True).close()
    with pytest.raises(ConfigError, match="never replaced"):
        run(source, output, resume=False)
    assert output.read_bytes() == b"my precious notes\n"


@pytest.mark.parametrize("resume", [False, True])
def test_input_cannot_be_the_output(source, tmp_path, resume):
    before = source.read_bytes()
    (tmp_path / "soft").symlink_to(source)
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "out.jsonl.journal").hardlink_to(source)
    for output in (source, tmp_path / "soft", tmp_path / "hard", tmp_path / "out.jsonl"):
        with pytest.raises(ConfigError, match="is an input"):
            run(source, output, resume=resume)
    assert source.read_bytes() == before


def test_results_land_where_a_link_points_and_the_journal_beside_them(source, tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "out").symlink_to("large/out.jsonl")
    interrupted(source, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "large").iterdir()) == ["out.jsonl", "out.jsonl.journal"]
    run(source, tmp_path / "out")
    assert (tmp_path / "out").is_symlink() and answers(tmp_path / "large" / "out.jsonl") == expected()


def test_results_and_journal_are_their_owners(source, output):
    before = os.umask(0)
    try:
        interrupted(source, output)
    finally:
        os.umask(before)
    for path in (output, output.with_name("out.jsonl.journal")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_results_say_what_they_answer(source, output):
    run(source, output, identity={"model": "abc"})
    said = [line["kimi_cpu"] for line in results(output)]
    assert len({one["run"] for one in said}) == 1 and len({one["request"] for one in said}) == 60


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
def test_changed_request_is_never_given_the_old_answer(source, output, ordered, stopped):
    if stopped:
        interrupted(source, output, 400, ordered=ordered)
        changed = results(output)[0]["custom_id"]
    else:
        run(source, output, ordered=ordered)
        changed = "q-7"
    before = output.read_bytes()
    lines = [request(name, count, prompt="another") if name == changed else request(name, count)
             for name, count in COUNTS.items()]  # fmt: skip
    write(source, lines)
    with pytest.raises(ConfigError, match=r"Line \d+ asks something else than .*out.jsonl answers .*--no-resume"):
        run(source, output, ordered=ordered)
    assert output.read_bytes().startswith(before)
    if not stopped:
        assert sorted(path.name for path in output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]
    run(source, output, ordered=ordered, resume=False)
    assert answers(output) == expected()


def test_text_with_a_new_first_line_is_refused(output, tmp_path):
    class Answering(FakeModel):
        def answer(self, job, resume):
            job.body["max_tokens"] = 1
            return super().answer(job, resume)

    source = write(tmp_path / "in.txt", ["What is 1 + 1?", "What is 2 + 2?"])
    run(source, output, Answering(), text=True)
    write(source, ["A new question", "What is 1 + 1?", "What is 2 + 2?"])
    with pytest.raises(ConfigError, match="Line 1 asks something else"):
        run(source, output, Answering(), text=True)


def test_unfinished_answer_to_a_changed_request_begins_again(source, output):
    write(source, [request("a", 300)])
    interrupted(source, output, 200)
    write(source, [request("a", 300, prompt="another")])
    model = FakeModel()
    run(source, output, model)
    assert model.resumed == {"a": []}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"prompt": "x"}, {"prompt": "x", "user": "me", "metadata": {"a": 1}, "model": "k2", "stop": None}),
        ({"prompt": "x", "temperature": 1}, {"temperature": 1, "prompt": "x"}),
    ],
)
def test_labels_and_the_order_of_fields_change_no_request(output, tmp_path, before, after):
    source = tmp_path / "in.jsonl"
    for body in (before, after):
        line = {"custom_id": "a", "url": "/v1/completions", "body": body | {"max_tokens": 1}}
        write(source, [json.dumps(line)])
        assert run(source, output).num_done == 1
    assert len(results(output)) == 1


def test_finished_output_of_another_run_is_refused(source, output):
    run(source, output, identity={"model": "abc"})
    before = output.read_bytes()
    with pytest.raises(ConfigError, match="results of another model, or of other options.*--no-resume"):
        run(source, output, identity={"model": "abd"})
    assert output.read_bytes() == before
    assert sorted(path.name for path in output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]
    run(source, output, identity={"model": "abd"}, resume=False)


def unnamed(data: bytes) -> bytes:
    """Results as they were before they said what they answer."""
    return re.sub(rb', "kimi_cpu": \{[^}]*\}\}\n', b"}\n", data)


def test_results_of_before_are_taken_with_a_warning(source, output):
    run(source, output)
    output.write_bytes(unnamed(output.read_bytes()))
    model, options = FakeModel(), BatchOptions()
    again = Run([model], source, output, options)
    assert again.run().num_found == 60 and model.num_steps == 0
    assert len(again.warnings) == 1 and "60 results in" in again.warnings[0]


def test_journal_of_before_is_taken_once_with_a_warning(source, output):
    write(source, [request("a", 300)])
    interrupted(source, output, 200)
    journal = sqlite3.connect(output.with_name("out.jsonl.journal"))
    journal.executescript(
        "CREATE TABLE t (key BLOB, start INTEGER, ids BLOB, PRIMARY KEY (key, start)) WITHOUT ROWID;"
        "INSERT INTO t SELECT key, start, ids FROM tokens; DROP TABLE tokens; ALTER TABLE t RENAME TO tokens;"
    )
    journal.close()
    model = FakeModel(0.001)
    first = Run([model], source, output, BatchOptions())
    model.at_step = 20, first.stop
    first.run()
    assert len(model.resumed["a"]) > 100 and ["unfinished answers" in w for w in first.warnings] == [True]
    last = Run([model], source, output, BatchOptions())
    last.run()
    assert last.warnings == [] and answers(output) == {"a": answer("a", 300)}


@pytest.mark.parametrize("ordered", [False, True])
def test_results_are_streamed_to_stdout_without_a_journal(source, tmp_path, capfdbinary, ordered):
    run(source, None, FakeModel(0.0005), ordered=ordered, parallel=16)
    streamed = tmp_path / "streamed"
    streamed.write_bytes(capfdbinary.readouterr().out)
    assert answers(streamed) == expected()
    assert not ordered or list(answers(streamed)) == list(COUNTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "streamed"]


def test_run_is_continued_with_the_same_options_only(source, output):
    interrupted(source, output, identity={"model": "abc"})
    with pytest.raises(ConfigError, match="model 'abc', not 'abd'.*--no-resume"):
        run(source, output, identity={"model": "abd"})
    with pytest.raises(ConfigError, match="shard"):
        run(source, output, identity={"model": "abc"}, shard=Shard.parse("1/2"))
    run(source, output, identity={"model": "abc"})
    assert answers(output) == expected()


def test_two_processes_cannot_write_one_output(source, output):
    started = threading.Event()
    first = Run([FakeModel(0.01, (1, started.set))], source, output, BatchOptions())
    thread = threading.Thread(target=first.run)
    thread.start()
    started.wait()
    with pytest.raises(ConfigError, match="Another process"):
        run(source, output)
    first.stop()
    thread.join()


def test_run_that_is_begun_anew_forgets_the_one_before(source, output):
    interrupted(source, output, 400, identity={"model": "abc"})
    model = FakeModel()
    assert run(source, output, model, identity={"model": "abd"}, resume=False).num_found == 0
    assert answers(output) == expected() and not any(model.resumed.values())


def test_journal_that_cannot_be_read_is_told_of(source, output):
    interrupted(source, output)
    journal = output.with_name("out.jsonl.journal")
    journal.write_bytes(b"x" * 5000)
    with pytest.raises(ConfigError, match="journal.*Delete it"):
        run(source, output)
    journal.unlink()
    run(source, output)
    assert answers(output) == expected()


def test_error_of_the_model_ends_the_run_and_keeps_what_was_done(source, output):
    class Breaking(FakeModel):
        def answer(self, job, resume):
            if len(self.order) == 20:
                raise RuntimeError("the engine broke")
            return super().answer(job, resume)

    with pytest.raises(RuntimeError, match="broke"):
        run(source, output, Breaking(), parallel=1)
    assert len(answers(output)) == 20
    run(source, output)
    assert answers(output) == expected()


def test_answer_that_fails_on_its_way_is_a_failed_line_and_the_others_are_answered(source, output):
    class Failing(FakeModel):
        def follow(self, run, job, count, ids):
            if job.custom_id == "q-20":
                self.tell(Failed(job.key, Failure("A guide failed.", "internal_error", status=500)), run)
            elif job.custom_id == "q-30":
                self.tell(Grown(job.key, [token("q-30", 0)]), run)
                self.tell(Failed(job.key, Failure("NaN", "internal_error", status=500)), run)
            else:
                super().follow(run, job, count, ids)

    run(source, output, Failing(), parallel=3)
    lines = [json.loads(line) for line in output.read_bytes().splitlines()]
    failed = [line["response"] for line in lines if line["response"]["status_code"] != 200]
    assert {(one["status_code"], one["body"]["error"]["message"]) for one in failed} == {
        (500, "A guide failed."),
        (500, "NaN"),
    }
    assert len(failed) == 2 and len(lines) == len(expected())


def test_full_disk_is_one_sentence_and_the_run_completes_when_there_is_room(source, output):
    """A limit on the size of files stands in for the disk: the same write fails half way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))
    try:
        with pytest.raises(OutOfDisk, match="make room|Make room"):
            run(source, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run(source, output)
    assert answers(output) == expected()


def test_line_that_the_full_disk_cut_is_taken_back(output, monkeypatch):
    file = ResultFile(output)
    file.put(b"first\n")
    file.sync()

    class Full:
        def __init__(self, inner):
            self.inner = inner

        def write(self, data):
            if len(data) < 10:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.inner.write(data[: len(data) // 2])

        def __getattr__(self, name):
            return getattr(self.inner, name)

    file._file = Full(file._file)
    file.put(b"second" * 10 + b"\n")
    with pytest.raises(OutOfDisk, match="No space left"):
        file.sync()
    assert output.read_bytes() == b"first\n"
