"""What this process itself may use."""

import os
import resource
import subprocess
import sys

import pytest

from kimi_cpu.machine import usable_cores, usable_cpus

CODE = "from kimi_cpu.machine import usable_cores, usable_memory; print(usable_cores(), usable_memory())"


def usable(**options) -> tuple[int, int]:
    """(cores, memory) of a process of its own."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, **options)
    cores, memory = done.stdout.split()
    return int(cores), int(memory)


def test_an_address_space_limit_is_the_memory():
    _, memory = usable(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (500_000_000, 500_000_000)))
    assert memory == 500_000_000


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity")
def test_an_affinity_of_one_cpu_is_one_core():
    cores, _ = usable(preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}))
    assert cores == 1


def test_there_are_no_more_cores_than_cpus():
    assert 1 <= usable_cores() <= usable_cpus()
