"""Programs that a model writes: their output, their limits, and the walls around them."""

import os
import subprocess

import pytest

from kimi_cpu.agent.builtin import program_tools
from kimi_cpu.agent.builtin.programs import has_sandbox

sandboxed = pytest.mark.skipif(not has_sandbox(), reason="needs bubblewrap")


@pytest.fixture
def use(tmp_path):
    (tmp_path / "work").mkdir()
    tools = {tool.name: tool for tool in program_tools(tmp_path / "work")}
    return lambda name, **arguments: tools[name].call(arguments, "")


def test_output_and_exit_code_come_back(use, tmp_path):
    assert use("shell", command="echo out; echo err >&2; pwd") == f"out\nerr\n{tmp_path / 'work'}\n"
    assert use("shell", command="exit 3") == "\n[exit code 3]" and use("shell", command="true") == "[no output]"
    assert use("python", program="open('a', 'w').write('x'); print(6 * 7)") == "42\n"
    assert (tmp_path / "work" / "a").read_text() == "x"
    assert "ZeroDivisionError" in use("python", program="1 / 0")


def test_program_is_ended_with_all_that_it_started(use, tmp_path):
    said = use("shell", command="echo begun; sleep 1000 & echo $! > pid; wait", timeout_s=1)
    assert said == "begun\n\n[ended after 1 s]"
    if not has_sandbox():  # whose processes have numbers of their own
        pid = int((tmp_path / "work" / "pid").read_text())
        assert subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode != 0


def test_memory_and_files_have_limits(use):
    assert "MemoryError" in use("python", program="bytearray(8 << 30)")
    assert len(use("shell", command="head -c 200000000 /dev/zero | tr '\\0' x")) < 2 << 20


def test_keys_of_the_environment_stay_with_us(use, monkeypatch):
    monkeypatch.setenv("API_KEY", "hidden")
    assert "hidden" not in use("shell", command="env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; true") or (
        not has_sandbox()
    )
    assert "hidden" not in use("shell", command="env")


@sandboxed
def test_sandbox_has_no_network_no_home_and_writes_in_the_folder_alone(use, tmp_path):
    (tmp_path / "secret").write_text("hidden")
    assert "hidden" not in use("shell", command=f"cat {tmp_path / 'secret'}; ls -a ~ /root /home")
    outside = f"echo x > {tmp_path / 'made'}; echo x > /etc/kimi-cpu-made; touch /tmp/kimi-cpu-made; ls /tmp"
    use("shell", command=outside)
    assert not (tmp_path / "made").exists() and not os.path.exists("/etc/kimi-cpu-made")
    assert not os.path.exists("/tmp/kimi-cpu-made")
    names = use("python", program="import socket; print([name for _, name in socket.if_nameindex()])")
    assert names == "['lo']\n"


def test_both_need_consent(tmp_path):
    assert all(tool.needs_consent and not tool.repeatable for tool in program_tools(tmp_path))
