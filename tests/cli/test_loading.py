"""A model whose weights exceed the memory says so in one line when it is loaded, and nothing else does."""

import pytest

from kimi_cpu import load
from kimi_cpu.cli.display import from_disk
from kimi_cpu.llm import ExpertsState, loading
from kimi_cpu.llm.loading import LoadOptions, notices
from kimi_cpu.llm.memory import Shares

MAPPED = Shares(0, 4096, 512, 64, None, 0)


def test_weights_larger_than_the_memory_are_one_sentence_with_the_bytes_a_token(tiny_file):
    with load(tiny_file) as llm:
        needs = llm.needs
    assert notices(tiny_file, needs, MAPPED, needs.weights, LoadOptions()) == ()
    (sentence,) = notices(tiny_file, needs, MAPPED, needs.weights // 2, LoadOptions())
    per_token = f"{needs.from_disk(needs.weights // 2) / 1e3:.2f} KB are read from disk for one token"
    assert str(tiny_file) in sentence and per_token in sentence and f"kimi-cpu plan {tiny_file}" in sentence


def test_a_model_that_fits_has_no_notices(tiny_file):
    with load(tiny_file) as llm:
        assert llm.notices == ()


@pytest.mark.parametrize("command", ["run", "chat", "batch", "bench"])
def test_every_command_that_loads_a_model_says_it_once(kimi_cpu, tiny_file, tmp_path, monkeypatch, command):
    (tmp_path / "in").write_text("a")
    args = {
        "run": ["run", "--raw", "-n", "1", "a"],
        "chat": ["chat", "-n", "1"],
        "batch": ["batch", str(tmp_path / "in"), "--text", "-o", str(tmp_path / "out"), "-n", "1"],
        "bench": ["bench", "-p", "1", "-n", "0"],
    }[command]
    monkeypatch.setattr(loading, "usable_memory", lambda: 1000)
    done = kimi_cpu(*args, "-m", tiny_file)
    assert done.code == 0, done.err
    assert done.err.count("of weights, but this process may use 1.00 KB of memory") == 1, done.err
    assert "of weights" not in done.out


def test_a_budget_that_is_too_small_is_refused_with_the_number(kimi_cpu, tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "--memory", "1MiB", "Hi")
    assert done.code == 4 and done.err.count("\n") == 1 and "bytes of memory are needed" in done.err


def test_what_was_read_from_disk_is_told_after_the_answer():
    assert from_disk(None) == ""
    assert from_disk(ExpertsState(6, 8, 100, 75, 10**9, None)) == "; 75% of experts were in memory, 1.00 GB were read"
