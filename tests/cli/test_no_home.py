"""Without a home directory, as for an unknown user in a container, everything works that needs none."""

import os
from pathlib import Path

import pytest

from kimi_cpu.cli.input import _history
from kimi_cpu.cli.options import read_config


@pytest.fixture
def homeless(monkeypatch):
    """No $HOME, and a user that the system does not know."""

    def none():
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)


def test_a_prompt_is_answered_without_a_home(kimi_cpu, tiny_file, homeless):
    done = kimi_cpu("run", "-m", tiny_file, "abc", "-n", 3, "--ignore-eos")
    assert done.code == 0 and "answer 3 tokens" in done.err


def test_a_conversation_without_a_home_names_what_it_cannot_keep(kimi_cpu, tiny_file, homeless, tmp_path):
    lines = ("/sessions", "/save talk", "/load talk", "one", f"/save {tmp_path}/talk", "/read ~stranger/note")
    done = kimi_cpu("chat", "-m", tiny_file, "-n", 3, "-c", 2048, stdin="\n".join(lines) + "\n")
    assert done.code == 0 and done.err.count("There is no home directory") == 2 and "none are saved" in done.err
    assert (tmp_path / "talk.json").exists() and "~stranger/note: No such file" in done.err


def test_the_history_without_a_home_is_in_memory(homeless, monkeypatch, tmp_path, capsys):
    assert type(_history()).__name__ == "InMemoryHistory"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert type(_history()).__name__ == "InMemoryHistory"
    assert "what is typed is not kept" in capsys.readouterr().err


def test_a_history_that_cannot_be_written_ends_no_conversation(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history = _history()
    history.filename = "/dev/full"
    history.store_string("typed")


def test_settings_in_the_home_of_somebody_else_are_not_looked_for(homeless, monkeypatch, tmp_path):
    assert read_config() == {}
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert read_config() == {}
    if os.geteuid() != 0:  # who may do everything
        (tmp_path / "closed" / "kimi-cpu").mkdir(parents=True)
        (tmp_path / "closed").chmod(0)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "closed"))
        assert read_config() == {}
