"""A model file that is brought to a host by a command."""

import threading

import pytest

from kimi_cpu.cluster import Work
from kimi_cpu.cluster.fetching import fetch
from kimi_cpu.errors import ConfigError


def test_file_is_there_when_its_command_has_ended_and_is_fetched_once(tmp_path):
    source, log, path = tmp_path / "source", tmp_path / "log", tmp_path / "a folder" / "k2.gguf"
    source.write_bytes(b"weights")
    command = f"echo >> {log}; cp {source} {{}}"
    threads = [threading.Thread(target=fetch, args=(path, command)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == b"weights" and log.read_text() == "\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("command", "why"),
    [("echo a >&2; echo no such host >&2; exit 3 # {}", r"failed \(3\): no such host"), ("true {}", "it left no file")],
)
def test_command_that_fails_leaves_nothing_under_the_name(tmp_path, command, why):
    with pytest.raises(ConfigError, match=rf"k2.gguf is not there, and .* {why}"):
        fetch(tmp_path / "k2.gguf", command)
    assert not (tmp_path / "k2.gguf").exists()


def test_what_a_failed_command_left_is_there_for_the_next_one(tmp_path):
    path = tmp_path / "k2.gguf"
    with pytest.raises(ConfigError):
        fetch(path, "printf half > {}; false")
    fetch(path, "printf ' and half' >> {}")
    assert path.read_text() == "half and half"


def test_command_must_say_where_the_file_belongs():
    with pytest.raises(ConfigError, match="must say {}"):
        Work("/models/k2.gguf", "rsync head:k2.gguf .", {}, False)
    with pytest.raises(ConfigError, match="bundled model is on every host"):
        Work(None, "rsync head:k2.gguf {}", {}, False)
