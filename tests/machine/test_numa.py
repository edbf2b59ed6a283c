"""Memory nodes of made-up machines, and the real policy of this one's only node."""

import sys
import threading

import pytest

from kimi_cpu.machine import interleave, interleaved, several_nodes
from kimi_cpu.machine.numa import DEFAULT, INTERLEAVE, _policy


@pytest.mark.parametrize(
    ("allowed", "with_memory", "nodes"),
    [
        ("0-1", "0-1", [0, 1]),
        ("0-3,6", "0,2-7", [0, 2, 3, 6]),
        ("1", "0-1", []),
        ("0-7", "0", []),
        ("", "0-1", []),
        ("0-1", "", []),
    ],
)
def test_nodes_are_those_with_memory_that_this_process_may_use(tmp_path, allowed, with_memory, nodes):
    for name, text in {
        "proc/self/status": f"Name:\tpython\nMems_allowed:\t3\nMems_allowed_list:\t{allowed}\n",
        "sys/devices/system/node/has_memory": f"{with_memory}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert several_nodes(tmp_path) == nodes
    assert several_nodes(tmp_path / "nothing") == []


def works():
    try:
        return _policy() == DEFAULT
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux" or not works(), reason="needs set_mempolicy, and no policy of numactl's")
def test_what_threads_touch_is_interleaved_while_the_block_lasts():
    policies = []
    with interleaved([0]) as refused:
        assert refused is None and not interleave([0]), "a policy that is there is kept"
        thread = threading.Thread(target=lambda: policies.append(_policy()))
        thread.start()
        thread.join()
    assert policies == [INTERLEAVE] and _policy() == DEFAULT
    with interleaved([]):
        assert _policy() == DEFAULT
    with interleaved([900]) as refused:  # no such node
        assert refused and _policy() == DEFAULT
