"""kimi-cpu serve as a process: what it says, and how it ends."""

import signal
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner

from kimi_cpu.cli import cli
from kimi_cpu.errors import ModelFileError


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "kimi_cpu", "serve", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_signal_ends_running_answers_and_the_server(tiny_file, number, code):
    with start("-m", str(tiny_file), "-c", "4096") as server:
        url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        assert "is ready" in server.stderr.readline()
        body = {"prompt": "abc", "max_tokens": 4000, "stream": True, "ignore_eos": True}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.send_signal(number)
            rest = list(lines)
        assert any("shutting down" in line for line in rest) or "data: [DONE]" in rest
        assert server.wait() == code


def test_file_that_is_no_model_ends_the_server(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    result = CliRunner().invoke(cli, ["serve", "--port", "0", "-m", str(tmp_path / "x.gguf")])
    assert isinstance(result.exception, ModelFileError) and "is loading x.gguf" in result.stderr


def test_public_address_without_a_key_is_wrong_usage():
    result = CliRunner().invoke(cli, ["serve", "-m", "x.gguf", "--host", "0.0.0.0"])
    assert result.exit_code == 2 and "--api-key" in result.stderr
