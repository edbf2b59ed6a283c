"""The heap of a process with many threads."""

import ctypes
import subprocess
import sys

import pytest

CODE = """
import ctypes, sys, threading
from kimi_cpu.machine import bound_heap
if sys.argv[1] == "bound":
    bound_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(16)
def work():
    barrier.wait()
    for _ in range(200):
        libc.malloc(20_000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="glibc's heap")
def test_many_threads_share_two_arenas():
    heaps = {}
    for how in ("bound", "free"):
        done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
        heaps[how] = done.stdout.count("<heap nr=")
    assert heaps["bound"] <= 2 < heaps["free"]
