"""An engine on its host before it answers: what it says of itself, and what it may use."""

import os
import subprocess
import sys

import pytest

from kimi_cpu.cluster import wire
from kimi_cpu.cluster.actor import keep_to_cores, program
from kimi_cpu.cluster.batch_actor import BatchActor
from kimi_cpu.cluster.work import Part
from kimi_cpu.machine import cpus_by_core

from .here import HOST, KEY, WHOLE, work


def test_host_says_what_must_be_equal(tiny_file, tiny_exact):
    facts = [wire.unpack_facts(BatchActor(work(file).packed(), WHOLE).facts()) for file in (tiny_file, tiny_exact)]
    assert facts[0].program == facts[1].program == program() and facts[0].tier == facts[1].tier
    assert facts[0].weights != facts[1].weights


def test_host_without_the_file_says_so(tmp_path):
    with pytest.raises(wire.Refused, match=r"k2.gguf: No such file"):
        wire.unpack_facts(BatchActor(work(tmp_path / "k2.gguf").packed(), WHOLE).facts())


def test_memory_of_the_node_is_obeyed(tiny_file):
    actor = BatchActor(work(tiny_file).packed(), Part(0, 1, 1, 1 << 20))
    with pytest.raises(wire.Refused, match="at least .* bytes of memory are needed"):
        wire.unpack_loaded(actor.load(HOST, KEY))


def test_engines_of_one_host_share_its_cores():
    cores = cpus_by_core()
    assert sorted(cpu for core in cores for cpu in core) == sorted(os.sched_getaffinity(0))
    parts = [
        subprocess.run([sys.executable, "-c", KEPT, str(number)], capture_output=True, text=True, check=True).stdout
        for number in range(len(cores))
    ]
    assert sorted(map(eval, parts)) == sorted((sorted(core), 1) for core in cores)
    assert keep_to_cores(Part(0, len(cores) + 1, 1, 0)) == 1  # the system shares them out
    assert keep_to_cores(WHOLE) >= 1 and set(os.sched_getaffinity(0)) == {cpu for core in cores for cpu in core}


KEPT = """
import os, sys
from kimi_cpu.cluster.actor import keep_to_cores
from kimi_cpu.cluster.work import Part
from kimi_cpu.machine import cpus_by_core
count = len(cpus_by_core())
num_cores = keep_to_cores(Part(int(sys.argv[1]), count, 1, 0))
print((sorted(os.sched_getaffinity(0)), num_cores))
"""
