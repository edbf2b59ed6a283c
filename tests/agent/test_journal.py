"""The journal, and runs that go on from it."""

import json

import pytest

from kimi_cpu.agent import Agent
from kimi_cpu.agent.journal import Journal, read_journal
from kimi_cpu.agent.records import Begun, Called, Told
from kimi_cpu.agent.transcript import Transcript
from kimi_cpu.errors import ConfigError, Interrupted
from tests.agent.fake import FakeLLM, Turn, call
from tests.agent.test_loop import Seen, double, results


class Stopped(Exception):
    """The process ends here."""


class StopsAt(Seen):
    """Ends the process when a record of a kind is on the disk."""

    def __init__(self, kind, again=True):
        super().__init__()
        self.kind, self.again, self.asked = kind, again, []

    def record(self, record):
        if record.kind == self.kind:
            raise Stopped

    def unfinished(self, call, tool):
        self.asked.append(call.id)
        return self.again


def script():
    return [call("double", x=1), call("double", x=2), Turn("done")]


def begun():
    return Begun(run="1", task="Go", system=None, model="fake", tools=[])


def facts(path):
    """The records without what differs from run to run."""
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("at", "run", "seconds")}
        for line in path.read_bytes().splitlines()
    ]


@pytest.mark.parametrize("at", range(1, 9))
def test_run_that_is_stopped_after_any_record_ends_like_one_that_is_not(at, tmp_path):
    whole, path = tmp_path / "whole", tmp_path / "part"
    Agent(FakeLLM(*script()), [double]).run("Go", resume=whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == 9
    path.write_bytes(b"".join(lines[:at]) + lines[at][: len(lines[at]) // 2])  # the next one is torn
    num_answers = sum(record["kind"] == "answered" for record in facts(whole)[:at])
    seen = StopsAt("none")
    llm = FakeLLM(*script()[num_answers:])
    outcome = Agent(llm, [double]).run(None, resume=path, watch=seen)
    assert facts(path) == facts(whole) and outcome.content == "done"
    assert len(llm.asked) == 3 - num_answers  # no turn is generated again
    assert seen.asked == {3: ["1.0"], 6: ["2.0"]}.get(at, [])
    again = Agent(FakeLLM(), [double]).run("Go", resume=path)  # what has ended is not run again
    assert again == outcome


def test_call_without_a_result_is_made_again_only_when_that_is_wished_or_harmless(tmp_path):
    made = []

    def act(x: int) -> int:
        made.append(x)
        return x

    def idempotent(x: int, call_id: str) -> int:
        made.append(call_id)
        return x

    def stopped(path, function):
        made.clear()
        with pytest.raises(Stopped):
            Agent(FakeLLM(call("f", x=5)), [_named(function)]).run("Go", resume=path, watch=StopsAt("called"))
        assert not made
        return path

    path = stopped(tmp_path / "asked", act)
    with pytest.raises(Interrupted, match=r"The call 1.0 of f had begun"):
        Agent(FakeLLM(), [_named(act)]).run(resume=path)
    assert not made
    Agent(FakeLLM(Turn("ok")), [_named(act)]).run(resume=path, watch=StopsAt("none", again=True))
    assert made == [5]
    path, llm = stopped(tmp_path / "skipped", act), FakeLLM(Turn("ok"))
    Agent(llm, [_named(act)]).run(resume=path, watch=StopsAt("none", again=False))
    assert not made and "may have been carried out, or not" in results(llm.asked[0][0])[0]
    path = stopped(tmp_path / "idempotent", idempotent)
    run = facts_run(path)
    Agent(FakeLLM(Turn("ok")), [_named(idempotent)]).run(resume=path)
    assert made == [f"{run}.1.0"]


def _named(function):
    from kimi_cpu.agent import tool

    return tool(name="f")(function)


def facts_run(path):
    return json.loads(path.read_bytes().splitlines()[0])["run"]


def test_what_was_computed_is_kept_before_the_turn_is(tmp_path):
    path, session = tmp_path / "run", tmp_path / "run.session"
    llm = FakeLLM(*script())
    seen = Seen()
    seen.record = lambda record: seen.notices.append((record.kind, session.exists()))
    Agent(llm, [double]).run("Go", resume=path, watch=seen)
    assert seen.notices[:2] == [("begun", False), ("answered", True)]
    assert session.read_bytes() == b"computed" and path.stat().st_mode & 0o777 == 0o600


def test_another_task_is_worked_on_after_the_end_of_the_first(tmp_path):
    path = tmp_path / "run"
    Agent(FakeLLM(Turn("one"))).run("First", resume=path)
    llm = FakeLLM(Turn("two"))
    assert Agent(llm).run("Second", resume=path).content == "two"
    assert [m["content"] for m in llm.asked[0][0]] == ["First", "one", "Second"]
    with pytest.raises(Stopped):
        Agent(FakeLLM(call("double", x=1)), [double]).run("Third", resume=path, watch=StopsAt("answered"))
    with pytest.raises(ConfigError, match="not ended, on 'First'"):
        Agent(FakeLLM(), [double]).run("Fourth", resume=path)


def test_long_results_are_read_after_a_restart(tmp_path):
    path = tmp_path / "run"

    def show():
        return "x" * 5000

    llm = FakeLLM(call("show"), call("read_result", call="1.0", start=4990), context=8000)
    with pytest.raises(Stopped):
        watch = StopsAt("called")
        watch.record = lambda record: _stop(record.kind == "answered" and record.step == 2)
        Agent(llm, [show]).run("Go", resume=path, watch=watch)
    assert (tmp_path / "run.results" / "1.0.txt").read_text() == "x" * 5000
    llm = FakeLLM(Turn("ok"), context=8000)
    Agent(llm, [show]).run(resume=path)
    assert results(llm.asked[0][0])[1] == f"{'x' * 10}\n[4,990 to 5,000 of 5,000 characters; its end]"


def _stop(due):
    if due:
        raise Stopped


def test_one_process_at_a_time_has_a_journal(tmp_path):
    with Journal(tmp_path / "run"), pytest.raises(ConfigError, match="another process"):
        Journal(tmp_path / "run")


def test_files_that_are_no_journal_are_refused_and_stay_as_they_are(tmp_path):
    path = tmp_path / "run"
    with Journal(path) as journal:
        journal.append([begun(), Told(content="a", by="user"), Told(content="b", by="user")])
    lines = path.read_bytes().splitlines(keepends=True)
    bad = {
        "is no journal": [b"a note", b'{"a": 1}\n', b'{"kind":"begun"}\n', lines[1].replace(b"told", b"sung")],
        "does not begin as": [b"".join(lines[1:])],
        "version 7": [lines[0].replace(b'"version":1', b'"version":7')],
        "damaged at line 2": [lines[0] + b"\0" * 9 + b"\n" + lines[2]],
    }
    for said, contents in bad.items():
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(ConfigError, match=said):
                Journal(path)
            assert path.read_bytes() == content
    for torn in (b"", lines[0][:5], lines[0], lines[0] + lines[1][:-1], lines[0] + b"\0" * 9 + b"\n"):
        path.write_bytes(torn)
        with Journal(path) as journal:
            assert len(journal.records) == (len(torn) >= len(lines[0]))
        assert path.read_bytes() in (b"", lines[0])
    assert read_journal(path)[0] == [journal.records[0]]


def test_records_of_a_call_that_nobody_made_are_refused():
    run = Transcript([begun()])
    with pytest.raises(KeyError):
        run.add(Called(call="9.0", name="x", arguments="{}"))
    with pytest.raises(TypeError):
        run.add("a text")
