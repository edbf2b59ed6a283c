"""Runs on real models: what a step computes, and what a resumed run does not compute again."""

import json

import pytest

import kimi_cpu
from kimi_cpu.agent import Agent
from tests.agent.test_journal import Stopped, facts
from tests.agent.test_loop import Seen

FORCED = {
    "tool_choice": {"type": "function", "function": {"name": "note"}},
    "parallel_tool_calls": False,
    "no_think": True,
    "max_tokens": 60,
    "seed": 1,
}
PAGE = 64
STEPS = 5


class Notes:
    """A tool whose results are all new."""

    def __init__(self):
        self.made = []

    def note(self, days: int) -> str:
        """Write a note."""
        self.made.append(days)
        return f"note {len(self.made)}"


class StopsAtStep(Seen):
    """Ends the process when the calls of a step have begun."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def record(self, record):
        super().record(record)
        if record.kind == "called" and record.call == f"{self.step}.0":
            raise Stopped

    def unfinished(self, call, tool):
        return True


def run(path, notes, resume, watch):
    with kimi_cpu.load(path, context=4096) as llm:
        return Agent(llm, [notes.note], max_steps=STEPS, **FORCED).run("Note some days.", resume=resume, watch=watch)


def answers(watch):
    return [record for record in watch.records if record.kind == "answered"]


def test_step_of_the_bundled_model_computes_what_is_new(tmp_path):
    seen = Seen()
    assert run(None, Notes(), None, seen).calls == STEPS
    check_nothing_repeated(answers(seen), 0)


def test_step_computes_what_is_new_and_resumed_run_is_the_same_run(tiny_file, tmp_path):
    path = tiny_file
    whole, part, seen = tmp_path / "whole", tmp_path / "part", Seen()
    notes = Notes()
    outcome = run(path, notes, whole, seen)
    assert (outcome.steps, outcome.calls, len(notes.made)) == (STEPS + 1, STEPS, STEPS)
    check_nothing_repeated(answers(seen), 0)
    again, first, second = Notes(), StopsAtStep(3), StopsAtStep(None)
    with pytest.raises(Stopped):
        run(path, again, part, first)
    assert len(again.made) == 2
    resumed = run(path, again, part, second)
    check_nothing_repeated(answers(second), answers(first)[-1].prompt_tokens + answers(first)[-1].completion_tokens)
    assert notes.made == again.made and resumed.messages == outcome.messages
    assert not any("session" in notice for notice in second.notices)
    different = ("cached_tokens", "prefill_s", "decode_s")
    for record, other in zip(facts(whole), facts(part), strict=True):
        assert {k: v for k, v in record.items() if k not in different} == {
            k: v for k, v in other.items() if k not in different
        }
    assert json.loads(whole.read_bytes().splitlines()[1])["message"]["tool_calls"][0]["id"] == "functions.note:0"


def check_nothing_repeated(turns, before):
    """Each turn computed its new tokens and at most one page more. before: tokens that were computed before them."""
    for turn in turns:
        new = turn.prompt_tokens - before
        assert turn.prompt_tokens - turn.cached_tokens <= new + PAGE
        before = turn.prompt_tokens + turn.completion_tokens


def test_session_that_cannot_be_used_costs_a_notice_and_not_the_run(tiny_file, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(Stopped):
        run(tiny_file, Notes(), path, StopsAtStep(3))
    session = tmp_path / "run.session"
    session.write_bytes(session.read_bytes()[:200])
    seen = StopsAtStep(None)
    assert run(tiny_file, Notes(), path, seen).calls == STEPS
    assert sum(str(session) in notice for notice in seen.notices) == 1
