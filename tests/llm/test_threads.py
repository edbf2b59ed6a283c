"""How many threads compute, and what is said when that is not what was asked for."""

import os
import resource
import subprocess
import sys
from functools import partial

import pytest

import kimi_cpu
from kimi_cpu.errors import ConfigError
from kimi_cpu.llm.loading import LoadOptions, num_threads
from kimi_cpu.machine import usable_cores, usable_cpus

ALWAYS_THE_SAME = ("--temp", "0", "--ignore-eos")


@pytest.mark.parametrize("threads", [0, -3, 1.5, "2", True])
def test_threads_that_cannot_be_are_refused(tiny_file, threads):
    with pytest.raises(ConfigError, match=f"threads is {threads!r}; it must be a whole number, 1 or more"):
        kimi_cpu.load(tiny_file, threads=threads)


def test_more_threads_than_cpus_are_fewer_and_that_is_said(tiny_file):
    assert num_threads(LoadOptions()) == usable_cores()
    assert num_threads(LoadOptions(threads=1)) == 1
    with kimi_cpu.load(tiny_file, threads=10_000, context=256) as llm:
        assert llm.notices == (
            f"10000 threads were asked for, and {usable_cpus()} are used: so many CPUs may this process run on.",
        )
        assert llm.generate("abc", max_tokens=2).usage.completion_tokens == 2


def run(tiny_file, *options, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kimi_cpu", "run", "-m", str(tiny_file), "abc", "-n", "2", "-c", "256", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def usual(tiny_file) -> str:
    """The answer where no program's settings are."""
    answer = run(tiny_file, *ALWAYS_THE_SAME).stdout
    assert answer
    return answer


def test_the_command_line_says_it_once(tiny_file):
    done = run(tiny_file, "-t", "10000")
    assert done.returncode == 0 and done.stderr.count("10000 threads were asked for") == 1
    assert run(tiny_file, "-t", "0").returncode == run(tiny_file, "-t", "-3").returncode == 2


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NUMBA_DISABLE_JIT", "1", "NUMBA_DISABLE_JIT is set"),
        ("NUMBA_NUM_THREADS", "0", "Number of threads specified must be > 0"),
        ("NUMBA_NUM_THREADS", "many", "'NUMBA_NUM_THREADS' is defined but its associated value 'many'"),
        ("NUMBA_OPT", "fast", "'NUMBA_OPT' is defined but its associated value 'fast'"),
    ],
)
def test_settings_that_numba_cannot_work_with_are_one_sentence(tiny_file, name, value, told):
    done = run(tiny_file, **{name: value})
    assert done.returncode == 1 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_address_space_in_which_the_compiler_would_abort_is_refused_before(tiny_file):
    command = [sys.executable, "-m", "kimi_cpu", "run", "-m", str(tiny_file), "abc", "-n", "2", "-c", "256"]
    limit = (500 << 20, 500 << 20)
    limited = partial(resource.setrlimit, resource.RLIMIT_AS, limit)
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited)
    assert done.returncode == 4 and "500 MiB of address space" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_THREADING_LAYER", "workqueue"),
        ("NUMBA_CACHE_DIR", "/missing/folder"),
        ("OMP_NUM_THREADS", "1"),
        ("OMP_THREAD_LIMIT", "1"),
        ("NUMBA_NUM_THREADS", "1"),
    ],
)
def test_settings_of_other_programs_change_no_answer(tiny_file, usual, name, value):
    assert run(tiny_file, *ALWAYS_THE_SAME, **{name: value}).stdout == usual
