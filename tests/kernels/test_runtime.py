"""Tiers, threads, cache and warm-up."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.errors import ConfigError
from kimi_cpu.kernels import cases, runtime
from kimi_cpu.kernels.codegen import jit
from kimi_cpu.kernels.codegen.code_cache import Entry
from kimi_cpu.kernels.codegen.native import Library, host_tiers
from kimi_cpu.kernels.micro import rows
from kimi_cpu.machine import usable_cores


def test_unknown_tier_is_refused_by_name(monkeypatch):
    with pytest.raises(ConfigError, match="isa is 'mmx'; this machine runs .*portable"):
        runtime.select("mmx")
    monkeypatch.setenv("KIMI_CPU_ISA", "sse9")
    with pytest.raises(ConfigError, match="KIMI_CPU_ISA is 'sse9'"):
        runtime.isa()


def test_tier_is_forced_by_the_environment(monkeypatch):
    monkeypatch.setenv("KIMI_CPU_ISA", "portable")
    assert runtime.isa().name == "portable"


def test_damaged_machine_code_is_compiled_again(tmp_path):
    path, micros = tmp_path / "code.o", rows.micros()[:2]
    names = [m.name for m in micros]
    Library(host_tiers()[0], micros, names, Entry(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert Library(host_tiers()[0], micros, names, Entry(path)).addresses.all()
    assert path.read_bytes() == whole


def test_cache_that_cannot_be_written_is_replaced_by_a_private_one_or_none(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = (
        "import numba; before = numba.config.CACHE_DIR\n"
        "from kimi_cpu.kernels.codegen import jit\n"
        "assert numba.config.CACHE_DIR == before; print(jit.CACHE.folder, jit.CACHE.is_shared, jit.CACHE.note)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(blocked), "PYTHONPATH": os.pathsep.join(sys.path)}

    def told(temporary) -> str:
        variables = {**environment, "TMPDIR": str(temporary)}
        run = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    private = tmp_path / f"kimi-cpu-{os.geteuid()}"
    assert told(tmp_path).startswith(f"{private}/")
    assert f"True {blocked}/kimi-cpu cannot be written: compiled kernels are kept in {private}." in told(tmp_path)
    private.chmod(0o777)
    assert told(tmp_path).startswith(f"None False {blocked}/kimi-cpu cannot be written: each process compiles")


def test_kernels_run_on_any_one_thread():
    case, results = cases.linear("q8", True, 3, 33, 75), []

    def work():
        problem = case.build(np.random.default_rng(0))
        kernels.linear(*problem.arguments)
        results.append(problem.outputs[0].tobytes())

    for target in (work, lambda: (runtime.configure(1), work())):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    work()
    assert len(set(results)) == 1


def test_configure_says_how_many_threads_it_set():
    try:
        assert runtime.configure(2) == runtime.workers() == 2
        assert numba.threading_layer() == "omp"
    finally:
        assert runtime.configure() == usable_cores() >= 1


def test_warmup_reports_every_step_to_the_last():
    steps = []
    runtime.warmup(lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps) and steps[0][0] == 0 and steps[-1][0] == steps[-1][1]


class Made(NamedTuple):
    """A kernel whose code takes nothing to make."""

    entry: Entry
    compile: Callable[[bool], bool]


def test_warmup_counts_what_another_process_compiles(tmp_path, monkeypatch):
    theirs, ours, steps = Entry(tmp_path / "theirs"), Entry(tmp_path / "ours"), []

    def compile_ours(wait):
        theirs.write(b"code")  # the other process ends meanwhile
        return True

    monkeypatch.setattr(jit, "KERNELS", [Made(theirs, lambda wait: wait), Made(ours, compile_ours)])
    monkeypatch.setattr(runtime, "_ready", lambda: Entry(None))
    runtime.compile_all(lambda done, total: steps.append((done, total)))
    assert steps == [(0, 3), (1, 3), (1, 3), (3, 3), (3, 3)]


def test_description_names_the_tier_in_use():
    facts = runtime.describe()
    assert facts["isa"] in facts["isas"]
    assert facts["isas"][-1] == "portable"


def test_another_process_that_compiles_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    assert not runtime.others_compile() and not runtime.compiled()
    with Entry(tmp_path / f"micro-{runtime.isa().name}.o").claim(wait=False):
        assert runtime.others_compile()
    assert not runtime.others_compile()


def test_the_second_process_of_a_warmup_finds_the_modules_of_this_one(tmp_path, kernels_ready):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", f"{runtime.SHARE}; print(runtime.__file__)", *sys.path]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == runtime.__file__, run.stderr


@pytest.fixture
def second(tmp_path, monkeypatch):
    """The file in which the second process of a warm-up, which does nothing else, leaves its id."""
    file = tmp_path / "pid"
    monkeypatch.setattr(runtime, "usable_cores", lambda: 2)
    code = f"import os, pathlib, time; pathlib.Path({str(file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(runtime, "SHARE", code)
    return file


def test_the_second_process_ends_with_a_warmup_that_is_interrupted(second):
    with pytest.raises(KeyboardInterrupt), runtime._second_process():
        end = time.monotonic() + 60
        while not second.exists() or not second.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(int(second.read_text()), 0)


@pytest.mark.parametrize("alone", ["frozen", "embedded", "moved", "one core", "no cache"])
def test_no_second_process_where_it_cannot_be_or_help(second, tmp_path, monkeypatch, alone):
    if alone == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif alone == "one core":
        monkeypatch.setattr(runtime, "usable_cores", lambda: 1)
    elif alone == "no cache":
        monkeypatch.setattr(jit.CACHE, "folder", None)
    else:
        program = tmp_path / {"embedded": "editor", "moved": "python3"}[alone]
        if alone == "embedded":
            program.symlink_to(sys.executable)
        monkeypatch.setattr(sys, "executable", str(program))
    with runtime._second_process():
        time.sleep(0.3)
    assert not second.exists()


def test_compiled_kernels_need_no_second_process(kernels_ready, monkeypatch):
    monkeypatch.setattr(runtime, "_second_process", lambda: pytest.fail("started one"))
    runtime.warmup()
