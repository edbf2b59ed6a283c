"""Compiled code is found by what it was made of, and made once by several processes."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kimi_cpu.kernels.codegen import code_cache
from kimi_cpu.kernels.codegen.code_cache import PACKAGE, Entry

COMPILE = """
from kimi_cpu.kernels.codegen import jit
kernel = next(k for k in jit.KERNELS if k.name == "_quantize")
compiler, compiled = kernel._code._compiler, []
compile_, compiler.compile = compiler.compile, lambda *types: compiled.append(types) or compile_(*types)
kernel.compile()
print(len(compiled), kernel.entry.path)
"""
HOLD = """
import sys, time
from pathlib import Path
from kimi_cpu.kernels.codegen.code_cache import Entry
with Entry(Path(sys.argv[1])).claim(wait=False) as ours:
    print(ours, flush=True)
    time.sleep(60)
"""


def compiling(cache, package: Path = PACKAGE.parent, **environment: str) -> subprocess.Popen:
    """A process that needs one kernel."""
    variables = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(package), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE],
        env=variables,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process: subprocess.Popen) -> tuple[int, str]:
    """(times it compiled, where)."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    times, path = out.split(maxsplit=1)
    return int(times), path.strip()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """(a cache in which one kernel is, where in it)."""
    cache = tmp_path_factory.mktemp("cache")
    times, path = outcome(compiling(cache))
    assert times == 1
    return cache, path


def test_the_same_sources_elsewhere_use_the_same_code_and_changed_ones_do_not(compiled, tmp_path):
    cache, path = compiled
    copy = tmp_path / "site" / "kimi_cpu"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("data", "page", "__pycache__"))
    assert outcome(compiling(cache, copy.parent)) == (0, path)
    with (copy / "quant" / "rows16.py").open("a") as file:
        file.write("# another version\n")
    times, other = outcome(compiling(cache, copy.parent))
    assert (times, other == path) == (1, False)


def test_a_setting_of_numba_that_changes_code_has_code_of_its_own(compiled):
    cache, path = compiled
    times, other = outcome(compiling(cache, NUMBA_OPT="1"))
    assert (times, other == path) == (1, False)


def test_of_several_processes_one_compiles(tmp_path):
    processes = [compiling(tmp_path) for _ in range(3)]
    assert sum(outcome(process)[0] for process in processes) == 1
    (folder,) = (tmp_path / "kimi-cpu").iterdir()
    assert [path.suffix for path in folder.iterdir()] == [".nbc"]  # no locks, no partial files


def test_damaged_code_of_a_kernel_is_compiled_again(compiled):
    cache, path = compiled
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    assert outcome(compiling(cache)) == (1, path)
    assert outcome(compiling(cache)) == (0, path)


def test_who_does_not_wait_does_something_else_meanwhile(tmp_path):
    entry, other = Entry(tmp_path / "code"), Entry(tmp_path / "code")
    with entry.claim(wait=False) as ours:
        assert ours
        assert other.is_claimed()
        entry.write(b"code")
    with other.claim(wait=False) as ours:
        assert ours and other.read() == b"code"


def test_who_waits_finds_what_the_other_made(tmp_path):
    entry, found = Entry(tmp_path / "code"), []

    def wait():
        with Entry(tmp_path / "code").claim(wait=True) as ours:
            found.append((ours, entry.read()))

    with entry.claim(wait=True):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.1)
        entry.write(b"code")
        thread.join(timeout=10)
        assert found == [(True, b"code")]


def test_a_process_that_died_holds_up_nobody(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "code"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    assert Entry(tmp_path / "code").is_claimed()
    holder.kill()
    holder.wait()
    assert not Entry(tmp_path / "code").is_claimed()


def test_a_process_that_stands_still_is_waited_for_no_longer_than_patience(tmp_path, monkeypatch):
    monkeypatch.setattr(code_cache, "PATIENCE_S", 0.1)
    with Entry(tmp_path / "code").claim(wait=True), Entry(tmp_path / "code").claim(wait=True) as ours:
        assert ours


@pytest.mark.parametrize("path", [None, Path("/missing/folder/code")])
def test_without_a_folder_everybody_compiles(path):
    entry = Entry(path)
    with entry.claim(wait=False) as ours:
        assert ours
        entry.write(b"code")
    assert entry.read() is None and not entry.exists()


def test_a_temporary_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(code_cache.tempfile, "tempdir", str(tmp_path))
    assert code_cache._temporary("key") == tmp_path / f"kimi-cpu-{os.geteuid()}" / "key"
    (tmp_path / f"kimi-cpu-{os.geteuid()}").chmod(0o777)
    assert code_cache._temporary("key") is None
    shutil.rmtree(tmp_path / f"kimi-cpu-{os.geteuid()}")
    (tmp_path / f"kimi-cpu-{os.geteuid()}").symlink_to(tmp_path)
    assert code_cache._temporary("key") is None
