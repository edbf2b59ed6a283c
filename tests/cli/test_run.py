"""kimi-cpu run as a person calls it: what goes to stdout, to stderr, and how it ends."""

import json
import subprocess
import sys

import pytest


def kimi_cpu(*args, stdin=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "kimi_cpu", *map(str, args)], input=stdin, capture_output=True, text=True, env=env
    )


def test_raw_answer_goes_to_stdout_and_statistics_to_stderr(tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "--raw", "abc", "-n", 8, "--temp", 0, "-c", 256)
    assert done.returncode == 0
    assert done.stdout.strip()
    assert "answer 8 tokens" in done.stderr


def test_prompt_may_come_from_a_pipe_or_a_file(tiny_file, tmp_path):
    (tmp_path / "prompt").write_text("abc")
    options = ("-m", tiny_file, "--raw", "-n", 8, "--temp", 0, "-c", 256)
    outs = [
        kimi_cpu("run", *options, "abc").stdout,
        kimi_cpu("run", *options, stdin="abc").stdout,
        kimi_cpu("run", *options, "-f", tmp_path / "prompt").stdout,
        kimi_cpu("run", *options, "-p", "abc").stdout,
    ]
    assert len(set(outs)) == 1


def test_json_is_one_openai_object(tiny_file):
    done = kimi_cpu("run", "-m", tiny_file, "Hi", "-n", 6, "--seed", 1, "--json", "-c", 512)
    reply = json.loads(done.stdout)
    assert reply["object"] == "chat.completion"
    assert reply["usage"]["completion_tokens"] == 6
    assert reply["choices"][0]["finish_reason"] == "length"


def test_session_file_carries_the_conversation_on(tiny_file, tmp_path):
    options = ("-m", tiny_file, "-n", 5, "--temp", 0, "-c", 512, "--session", tmp_path / "talk")
    assert "(0 cached)" in kimi_cpu("run", *options, "Hi").stderr
    second = kimi_cpu("run", *options, "More").stderr
    assert "(0 cached)" not in second and "cached" in second


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["run", "abc"], 2, "No model was named"),
        (["run", "-m", "FILE", "--raw", "abc", "-p", "abc"], 2, "once"),
        (["run", "-m", "FILE", "abc", "--temp", "-1"], 1, "temperature"),
        (["run", "-m", "FILE", "--raw", "abc", "-c", "2"], 1, "context"),
        (["run", "-m", "missing.gguf", "abc"], 1, "missing.gguf"),
        (["run", "-m", __file__, "abc"], 5, "no GGUF file"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_mistakes_end_in_one_line_and_an_exit_code(tiny_file, args, code, text, monkeypatch):
    monkeypatch.delenv("KIMI_CPU_MODEL", raising=False)
    done = kimi_cpu(*[tiny_file if a == "FILE" else a for a in args])
    assert done.returncode == code
    assert text in done.stderr and "Traceback" not in done.stderr
    if code != 2:
        assert done.stderr.count("\n") == 1
