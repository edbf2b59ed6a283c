"""kill -9 in a call, after what it does and before its result is on record."""

import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from kimi_cpu.agent import Agent
from kimi_cpu.errors import Interrupted
from tests.agent.fake import FakeLLM
from tests.agent.killed import script, tool_of
from tests.agent.test_journal import StopsAt, facts
from tests.agent.test_loop import results

PROGRAM = Path(__file__).with_name("killed.py")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """stopped(kind) -> the folder of a process that was killed in its second call."""

    @cache
    def start(kind):
        folder = tmp_path_factory.mktemp(kind)
        command = [sys.executable, PROGRAM, folder / "run", folder / "made", kind]
        killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(PROGRAM.parents[2])})
        assert killed.returncode == -signal.SIGKILL
        assert [fact["kind"] for fact in facts(folder / "run")][-2:] == ["answered", "called"]
        return folder

    return start


@pytest.fixture
def killed(stopped, tmp_path):
    """killed(kind) -> its run, which may be gone on with."""
    return lambda kind: shutil.copytree(stopped(kind), tmp_path, dirs_exist_ok=True) / "run"


def whole(kind, folder):
    """(records, state) of a run that nobody kills."""
    Agent(FakeLLM(*script()), [tool_of(kind, folder / "state")]).run("Go", resume=folder / "whole")
    return facts(folder / "whole"), (folder / "state").read_text()


def test_killed_call_of_an_idempotent_tool_is_made_again_and_nobody_can_tell(killed, tmp_path):
    run, made = killed("idempotent"), tmp_path / "made"
    llm = FakeLLM(*script(3))
    assert Agent(llm, [tool_of("idempotent", made)]).run(resume=run).content == "done"
    assert (facts(run), made.read_text()) == whole("idempotent", tmp_path) and len(llm.asked) == 2


@pytest.mark.parametrize("again", [True, False])
def test_killed_call_of_any_other_tool_stops_the_run_and_is_decided(killed, tmp_path, again):
    run, made = killed("plain"), tmp_path / "made"
    before = run.read_bytes()
    with pytest.raises(Interrupted, match=r"The call 2\.0 of act had begun .* may have been carried out or not"):
        Agent(FakeLLM(), [tool_of("plain", made)]).run(resume=run)
    assert run.read_bytes() == before and made.read_text() == "1\n2\n"
    llm, watch = FakeLLM(*script(3)), StopsAt("none", again)
    assert Agent(llm, [tool_of("plain", made)]).run(resume=run, watch=watch).content == "done"
    assert watch.asked == ["2.0"] and made.read_text() == ("1\n2\n2\n3\n" if again else "1\n2\n3\n")
    told = results(llm.asked[-1][0])[1]
    assert told == "2 is added" if again else "may have been carried out, or not" in told
    assert (facts(run) == whole("plain", tmp_path)[0]) is again
