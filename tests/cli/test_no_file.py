"""Every command that reads a model or a checkpoint says at once what is no file, and what to do."""

import importlib
import os
import socket

import pytest

COMMANDS = [
    ("run", "hi", "-m"),
    ("chat", "-m"),
    ("serve", "--port", "0", "-m"),
    ("bench", "-m"),
    ("tokenize", "hi", "-m"),
    ("verify",),
    ("inspect",),
    ("plan",),
    ("convert", "-o", "out.gguf"),
]


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A path of each kind that is no file."""
    monkeypatch.chdir(tmp_path)  # where convert would write
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    (tmp_path / "empty").touch()
    yield tmp_path
    listening.close()


@pytest.mark.parametrize("what", ["pipe", "device", "socket", "empty"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_no_model_ends_at_once_with_its_name_and_exit_code_5(kimi_cpu, strange, command, what):
    done = kimi_cpu(*command, strange / what)
    assert done.code == 5
    assert done.out == ""
    assert str(strange / what) in done.err.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_that_may_not_be_read_says_so(kimi_cpu, tiny_file, tmp_path):
    (tmp_path / "model.gguf").write_bytes(tiny_file.read_bytes())
    (tmp_path / "model.gguf").chmod(0)
    done = kimi_cpu("run", "hi", "-m", tmp_path / "model.gguf")
    assert done.code == 5 and "may not be read by this user" in done.err


def test_too_little_memory_is_a_sentence_with_exit_code_4(kimi_cpu, monkeypatch):
    """As numpy and Python say it, with a text or without."""

    def refuse(text):
        def open_source(path):
            raise MemoryError(*text)

        return open_source

    for text in ((), ("Unable to allocate 2.00 GiB for an array",)):
        monkeypatch.setattr(importlib.import_module("kimi_cpu.conversion.inspect"), "inspect", refuse(text))
        done = kimi_cpu("inspect", __file__)
        assert done.code == 4
        assert "too little memory" in done.err and "ulimit -v" in done.err and done.err.count("\n") == 1
        assert all(part in done.err for part in text)
