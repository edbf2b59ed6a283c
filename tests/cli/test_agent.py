"""kimi-cpu agent as a person calls it: what goes where, what is asked, and how it ends."""

import json
import sys
from datetime import UTC, datetime

import pytest

from kimi_cpu.agent.builtin import basics

from .terminal import Terminal

TOOLS = '''
from pathlib import Path

def note(days: int) -> str:
    """Write a note."""
    with open(Path(__file__).with_name("made"), "a") as file:
        print(days, file=file)
    return "written [31m"
'''


class Noon(datetime):
    """A clock that stands: a random model calls get_date, and answers each minute otherwise, or nothing at all."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 6, 24, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    monkeypatch.setattr(basics, "datetime", Noon)


@pytest.fixture
def tools(tmp_path):
    path = tmp_path / "notes.py"
    path.write_text(TOOLS)
    return path


def options(tiny_file):
    return ("-m", tiny_file, "-c", 2048, "--no-think", "-n", 40, "--temp", 0, "--max-steps", 1)


def test_answer_goes_to_stdout_and_an_ended_run_answers_at_once(kimi_cpu, tiny_file, tools, tmp_path):
    given = ("--tools", tools, "--resume", tmp_path / "run", *options(tiny_file))
    first = kimi_cpu("agent", "Note a day.", *given)
    assert first.code == 0 and first.out.strip() and "steps" in first.err and "tokens read" in first.err
    again = kimi_cpu("agent", *given)
    assert again.out == first.out and again.code == 0
    events = kimi_cpu("agent", "And now?", *given, "--json")
    kinds = [json.loads(line)["kind"] for line in events.out.splitlines()]
    assert kinds[0] == "told" and kinds[-1] == "ended" and "piece" in kinds
    page = kimi_cpu("agent", "--view", tmp_path / "run")
    assert page.out == f"{tmp_path / 'run.html'}\n" and "Note a day." in (tmp_path / "run.html").read_text()
    quiet = kimi_cpu("agent", "x", *given, "--quiet")
    assert quiet.out and "steps" not in quiet.err.partition("answer came early")[0]


def test_call_without_a_result_is_asked_about_or_decided_by_an_option(kimi_cpu, tiny_file, tools, tmp_path):
    run, made = tmp_path / "run", tmp_path / "made"
    kimi_cpu("agent", "Note a day.", "--resume", run, *options(tiny_file))
    begun = json.loads(run.read_bytes().splitlines()[0]) | {"tools": ["note"]}
    answered = {"kind": "answered", "step": 1, "finish_reason": "tool_calls", "prefill_s": 1.0, "decode_s": 1.0}
    answered |= dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"), 0)
    function = {"name": "note", "arguments": '{"days": 3}'}
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "functions.note:0", "function": function}]}
    called = {"kind": "called", "call": "1.0"} | function
    stopped = "".join(json.dumps(record) + "\n" for record in (begun, answered | {"message": message}, called))
    given = ("--resume", run, "--tools", tools, *options(tiny_file))
    run.write_text(stopped)
    asked = kimi_cpu("agent", *given)
    assert asked.code == 6 and "--unfinished skip" in asked.err and not made.exists()
    again = kimi_cpu("agent", *given, "--unfinished", "again")
    assert made.read_text() == "3\n" and "← 1.0 done" in again.err and again.code == 0
    run.write_text(stopped)
    skipped = kimi_cpu("agent", *given, "--unfinished", "skip")
    assert made.read_text() == "3\n" and "← 1.0 unknown" in skipped.err


def test_what_cannot_be_done_is_a_sentence(kimi_cpu, tiny_file, tools, tmp_path, monkeypatch):
    assert kimi_cpu("agent", "", *options(tiny_file)).code == 2
    new = kimi_cpu("agent", "", "--resume", tmp_path / "new", *options(tiny_file))
    assert new.code == 2 and "new has no run to go on with, and there is no task" in new.err
    for wrong, said in (("--budget", "is neither a time"), ("--mcp", "is no JSON")):  # whatever the model is
        assert said in kimi_cpu("agent", "x", wrong, tools, "-m", tmp_path / "none").err
    (tmp_path / "bad.py").write_text("1 / 0")
    done = kimi_cpu("agent", "x", "--tools", tmp_path / "bad.py", *options(tiny_file))
    assert done.code == 1 and "bad.py cannot be run: ZeroDivisionError" in done.err
    (tmp_path / "talk").write_text("hello")
    done = kimi_cpu("agent", "x", "--resume", tmp_path / "talk", *options(tiny_file))
    assert done.code == 1 and "is no journal of a run" in done.err
    for name in [name for name in sys.modules if name.startswith(("kimi_cpu.agent", "kimi_cpu.cli.agent_"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "docstring_parser", None)
    done = kimi_cpu("agent", "x", *options(tiny_file))
    assert (
        done.code == 1
        and "pip install '.[agent]' in kimi-cpu's source folder (docstring_parser is not there)" in done.err
    )


def test_ctrl_c_pauses_and_the_run_is_told_something_or_left(tiny_file, tmp_path):
    given = ("-m", tiny_file, "-c", 4096, "-n", 2800, "--ignore-eos", "--resume")
    for i in range(8):  # a model of random weights may end before it is interrupted
        run = tmp_path / f"run{i}"
        terminal = Terminal("agent", "Talk.", *given, run)
        terminal.wait(lambda lines: len(lines) > 3)  # thinking
        if not is_paused(terminal, times=1):
            continue
        terminal.type("Less.\r")
        terminal.wait(lambda lines, run=run: b"Less." in run.read_bytes())
        if is_paused(terminal, times=2):
            break
    terminal.type("/leave\r")
    assert terminal.exit_code() == 6
    records = [json.loads(line) for line in run.read_bytes().splitlines()]
    assert [r["content"] for r in records if r["kind"] == "told" and r["by"] == "user"] == ["Less."]
    assert "ended" not in {r["kind"] for r in records}


def is_paused(terminal, times):
    """Interrupts a run; whether it pauses, and has so many times, or ends."""
    terminal.type("\x03")
    over = terminal.process.poll
    lines = terminal.wait(lambda lines: sum("Paused." in line for line in lines) == times or over() is not None)
    return sum("Paused." in line for line in lines) == times


def test_calls_that_need_consent_are_asked_about_where_somebody_is(monkeypatch):
    from kimi_cpu.agent import Call, Tool
    from kimi_cpu.agent.consent import Consent
    from kimi_cpu.cli import agent_terminal

    acts, reads = (Tool(name, "", {}, print, needs_consent=name == "act") for name in ("act", "read"))

    def approved(answers, *allowed, ask=True, tool=acts, calls=2):
        terminal = agent_terminal.Terminal(True, False, True, "ask", Consent(allowed, ask))
        said = iter(answers)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: answers != (), raising=False)
        monkeypatch.setattr(agent_terminal.click, "prompt", lambda *args, **kwargs: next(said))
        return [terminal.approve(Call("1.0", "", tool.name, "{}"), tool) for _ in range(calls)]

    assert approved(("y", "n")) == [True, False]
    assert approved(("n", "always"), calls=3) == [False, True, True]
    assert approved(()) == [False, False] and approved(("y", "y"), ask=False) == [False, False]
    assert approved((), "act") == approved((), tool=reads) == [True, True]


def test_heavy_shows_the_runs_and_their_votes(kimi_cpu, tiny_file, tmp_path):
    given = ("--heavy", 2, "--resume", tmp_path / "run", *options(tiny_file))
    done = kimi_cpu("agent", "Note a day.", *given, "--json")
    kinds = [json.loads(line)["kind"] for line in done.out.splitlines()]
    assert done.code == 0 and kinds[-1] == "heavy"
    assert "trajectory 1 of 2, " in done.err or "trajectories" in done.err
    again = kimi_cpu("agent", *given)
    assert again.code == 0 and "tokens read" in again.err
