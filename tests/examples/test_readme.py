"""The README's programs and commands run as they are written, on the demonstration model and on a tiny checkpoint."""

import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import pytest

import kimi_cpu as package

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
LINES = [line.rpartition("&& ")[2] for language, text in BLOCKS if not language for line in text.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("kimi-cpu ")]
ENOUGH = 1024  # tokens that a prompt and an answer may have: the demonstration model may talk without an end


@pytest.fixture(scope="module")
def folder(tiny_checkpoint, tmp_path_factory) -> Path:
    """Where the commands run one after the other: a tiny checkpoint has the name of Kimi's, and as long a context."""
    folder = tmp_path_factory.mktemp("readme")
    config = shutil.copytree(tiny_checkpoint, folder / "Kimi-K2-Thinking") / "config.json"
    config.write_text(
        config.read_text().replace('"max_position_embeddings": 4096', '"max_position_embeddings": 262144')
    )
    return folder


def test_every_program_runs_after_those_before_it(monkeypatch, tmp_path, kernels_ready, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(package, "load", partial(package.load, context=ENOUGH))
    names: dict = {}
    for program in PROGRAMS:
        exec(compile(program, str(README), "exec"), names)
        assert capsys.readouterr().out.strip() or "print" not in program
    names["llm"].close()


def test_an_agent_with_two_tools_takes_four_lines():
    (agent,) = [program for program in PROGRAMS if "Agent(" in program]
    assert sum(bool(line) for line in agent.splitlines()) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs_after_those_before_it(command, kimi_cpu, kernels_ready, monkeypatch, folder):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KIMI_CPU_CONTEXT", str(ENOUGH))
    done = kimi_cpu(*shlex.split(command, comments=True)[1:])
    assert done.code == 0 and (done.out + done.err).strip(), done.err
