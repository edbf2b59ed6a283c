"""kimi-cpu serve as a process: what it says, and how it ends."""

import signal
import subprocess
import sys

import httpx
import psutil
import pytest
from click.testing import CliRunner

from kimi_cpu.cli import cli
from kimi_cpu.errors import ConfigError, ModelFileError

from .agent_client import configured


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


def test_link_to_the_tools_is_printed_and_their_servers_end_with_the_server(tiny_file, tmp_path):
    with start("-m", str(tiny_file), "-c", "4096", "--mcp", str(configured(tmp_path))) as server:
        lines = iter(server.stderr.readline, "")
        url, token = next(line for line in lines if "#agent=" in line).split()[-1].split("/#agent=")
        assert any("the MCP server notes offers 8 tools" in line for line in lines)
        headers = {"X-Agent-Token": token}
        while (answer := httpx.get(f"{url}/v1/agent/tools", headers=headers)).status_code == 503:
            pass
        assert any(tool["name"] == "notes__add" for tool in answer.json()["data"])
        (started,) = psutil.Process(server.pid).children()
        server.terminate()
        assert server.wait() == 0
        assert not started.is_running() or started.status() == psutil.STATUS_ZOMBIE


def test_allowed_tools_and_a_wrong_file_of_servers_are_refused(tiny_file, tmp_path):
    result = CliRunner().invoke(cli, ["serve", "-m", str(tiny_file), "--allow", "all"])
    assert result.exit_code == 2 and "--mcp" in result.stderr
    (tmp_path / "x.json").write_text("{}")
    result = CliRunner().invoke(cli, ["serve", "--port", "0", "-m", str(tiny_file), "--mcp", str(tmp_path / "x.json")])
    assert isinstance(result.exception, ConfigError) and "x.json names no servers" in str(result.exception)


def test_file_that_is_no_model_ends_the_server(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    result = CliRunner().invoke(cli, ["serve", "--port", "0", "-m", str(tmp_path / "x.gguf")])
    assert isinstance(result.exception, ModelFileError) and "is loading x.gguf" in result.stderr


def test_public_address_without_a_key_is_wrong_usage():
    result = CliRunner().invoke(cli, ["serve", "-m", "x.gguf", "--host", "0.0.0.0"])
    assert result.exit_code == 2 and "--api-key" in result.stderr
