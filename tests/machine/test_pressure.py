"""How short memory is, of this machine and of made-up control groups."""

import psutil

from kimi_cpu.machine import cgroups, spare_memory, stalled_s
from kimi_cpu.machine.pressure import GROUP_RESERVE
from tests.machine.test_cgroups import V1, V2, machine  # noqa: F401

STALLS = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"


def test_some_memory_is_left_to_others(machine):  # noqa: F811
    system = psutil.virtual_memory()
    assert spare_memory(machine("", "")) < system.available
    root = machine(
        "0::/box\n",
        V2.format(root="/", at="/sys/fs/cgroup"),
        **{"box/memory.max": f"{GROUP_RESERVE + 3000}\n", "box/memory.current": "1000\n"},
    )
    assert spare_memory(root) == 2000
    (root / "sys/fs/cgroup/box/memory.max").write_text("500\n")
    assert spare_memory(root) == 1 - GROUP_RESERVE, "the limit was lowered"


def test_waiting_counts_where_this_process_is(machine):  # noqa: F811
    assert stalled_s(machine("", "")) == 0
    root = machine("4:memory:/box\n", V1.format(root="/", name="memory"))
    (root / "proc/pressure").mkdir()
    (root / "proc/pressure/memory").write_text(STALLS.format(3_000_000))
    assert stalled_s(root) == 3, "version 1 does not count it"
    root = machine(
        "0::/box\n",
        V2.format(root="/", at="/sys/fs/cgroup"),
        **{"memory.pressure": STALLS.format(9), "box/memory.pressure": STALLS.format(2_000_000)},
    )
    assert stalled_s(root) == 2
    assert cgroups.memory_stall(root) == 2_000_000
