"""A mapped file that can no longer be read is named before the system ends the process."""

import platform
import shutil
import signal
import subprocess
import sys
import threading

import llvmlite.binding as llvm
import pytest

from kimi_cpu.kernels.codegen import bus_error
from kimi_cpu.kernels.codegen.native import BY_NAME, emit, optimise, target_machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SIGBUS is told on Linux only")
READ = """
import os, signal, sys, threading
import numpy as np
from kimi_cpu.kernels.codegen import bus_error
bus_error.install()
path, how = sys.argv[1:]
data = np.memmap(path, np.uint8, "r")
os.truncate(path, 4096)
print(int(data[:4096].sum()), flush=True)
if how == "kill":
    os.kill(os.getpid(), signal.SIGBUS)
readers = [threading.Thread(target=data.sum) for _ in range(4)] if how == "threads" else []
for reader in readers:
    reader.start()
data.sum()
"""


def reading(path, how="alone", *options) -> subprocess.CompletedProcess:
    """A process that reads a file of 100,000 bytes behind its end."""
    path.write_bytes(b"\1" * 100_000)
    command = [sys.executable, *options, "-c", READ, path, how]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("how", ["alone", "threads"])
def test_file_that_was_cut_short_is_named_once_and_the_signal_ends_the_process(tmp_path, how):
    done = reading(tmp_path / "a model, 4-bit.gguf", how)
    assert (done.returncode, done.stdout) == (-signal.SIGBUS, "4096\n")
    assert done.stderr.startswith(
        f"kimi-cpu: {tmp_path}/a model, 4-bit.gguf: a part of this file can no longer be read"
    )
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n")


def test_handler_that_was_there_before_has_its_turn(tmp_path):
    done = reading(tmp_path / "file", "alone", "-X", "faulthandler")
    assert done.returncode == -signal.SIGBUS
    assert done.stderr.startswith(f"kimi-cpu: {tmp_path}/file: ") and "Fatal Python error: Bus error" in done.stderr


def test_a_signal_that_somebody_sent_blames_no_file(tmp_path):
    done = reading(tmp_path / "file", "kill")
    assert (done.returncode, done.stderr) == (-signal.SIGBUS, "")


def test_a_file_that_is_cut_short_between_two_answers_is_named(tmp_path, tiny_file):
    model = tmp_path / "model.gguf"
    shutil.copyfile(tiny_file, model)
    command = [sys.executable, "-m", "kimi_cpu", "chat", "-m", str(model), "-c", "512", "-n", "8"]
    command += ["--no-think", "--temp", "0", "--ignore-eos"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write("Hi\n")
        process.stdin.flush()
        process.stdout.read(1)
        with model.open("r+b") as file:
            file.truncate(4096)
        killer = threading.Timer(120, process.kill)
        killer.start()
        _, err = process.communicate("And?\n")
        killer.cancel()
    assert process.returncode == -signal.SIGBUS
    assert err.count(f"kimi-cpu: {model}: a part of this file can no longer be read") == 1


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_handler_compiles_for_every_machine_that_has_one(machine):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    tier, triple = BY_NAME["portable"], f"{machine}-unknown-linux-gnu"
    target = target_machine(tier, triple)
    text = target.emit_assembly(optimise(emit(bus_error.micros(), tier, triple), target))
    assert "handler:" in text and machine in bus_error.MACHINES


def test_the_library_installs_no_handler(tiny_file):
    code = (
        "import ctypes, sys, kimi_cpu\n"
        "from kimi_cpu.kernels.codegen import bus_error\n"
        "with kimi_cpu.load(sys.argv[1], context=512) as llm: llm.generate('Hi', max_tokens=2)\n"
        "before = bus_error.SigAction()\n"
        "ctypes.CDLL(None).sigaction(7, None, ctypes.byref(before)); print(before.handler)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_file], capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr


def test_a_machine_without_a_handler_goes_without(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(bus_error, "_installed", [])
    bus_error.install()
    assert not bus_error._installed
