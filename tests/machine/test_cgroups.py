"""Limits of control groups, read from made-up trees as containers show them."""

import pytest

from kimi_cpu.machine import cgroups, free_memory, usable_cores, usable_memory

V1 = "30 24 0:26 {root} /sys/fs/cgroup/{name} rw,nosuid shared:9 - cgroup cgroup rw,{name}\n"
V2 = "30 24 0:26 {root} {at} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
UNLIMITED = "9223372036854771712\n"  # what version 1 says for none


@pytest.fixture
def machine(tmp_path):
    """A function of the process's groups, its mounts and the files below /sys/fs/cgroup, which returns the root."""

    def make(groups: str, mounts: str, **files: str):
        for name, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def test_least_limit_of_all_groups_above_counts_in_version_2(machine):
    root = machine(
        "0::/pods/pod7/box\n",
        V2.format(root="/", at="/sys/fs/cgroup"),
        **{
            "pods/cpu.max": "400000 100000\n",
            "pods/pod7/cpu.max": "150000 100000\n",
            "pods/pod7/box/cpu.max": "max 100000\n",
            "pods/memory.max": "3000000000\n",
            "pods/pod7/memory.max": "max\n",
            "pods/pod7/box/memory.max": "4000000000\n",
        },
    )
    assert cgroups.cpu_quota(root) == 1.5
    assert cgroups.memory_limit(root) == usable_memory(root) == 3_000_000_000
    assert usable_cores(root) in (1, 2)


def test_least_limit_of_all_groups_above_counts_in_version_1(machine):
    root = machine(
        "4:memory:/a/b\n3:cpu,cpuacct:/a/b\n",
        V1.format(root="/", name="cpu,cpuacct") + V1.format(root="/", name="memory"),
        **{
            "cpu,cpuacct/a/cpu.cfs_quota_us": "25000\n",
            "cpu,cpuacct/a/cpu.cfs_period_us": "50000\n",
            "cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
            "memory/memory.limit_in_bytes": UNLIMITED,
            "memory/a/memory.limit_in_bytes": "2000000000\n",
            "memory/a/b/memory.limit_in_bytes": UNLIMITED,
        },
    )
    assert cgroups.cpu_quota(root) == 0.5
    assert usable_cores(root) == 1
    assert usable_memory(root) == 2_000_000_000


def test_what_others_hold_below_a_limit_is_not_free_but_pages_of_files_are(machine):
    both = {"memory.max": "3000\n", "memory.high": "max\n", "memory.current": "2500\n"}
    root = machine(
        "0::/pods/box\n",
        V2.format(root="/", at="/sys/fs/cgroup"),
        **{f"pods/{name}": text for name, text in both.items()},
        **{"pods/memory.stat": "anon 900\ninactive_file 1000\nactive_file 500\n"},
    )
    assert cgroups.memory_left(root) == free_memory(root) == 2000
    root = machine(
        "4:memory:/a\n",
        V1.format(root="/", name="memory"),
        **{
            "memory/a/memory.limit_in_bytes": "5000\n",
            "memory/a/memory.usage_in_bytes": "4000\n",
            "memory/a/memory.stat": "cache 9\nhierarchical_memory_limit 4500\ntotal_inactive_file 100\n",
        },
    )
    assert cgroups.memory_left(root) == 600
    assert cgroups.memory_left(machine("0::/\n", V2.format(root="/", at="/nowhere"))) is None


def test_a_container_that_is_mounted_as_the_root_has_its_own_limits(machine):
    root = machine(
        "4:memory:/docker/f00\n3:cpu:/docker/f00\n",
        V1.format(root="/docker/f00", name="memory") + V1.format(root="/docker/f00", name="cpu"),
        **{
            "memory/memory.limit_in_bytes": "1000000000\n",
            "cpu/cpu.cfs_quota_us": "200000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert (cgroups.cpu_quota(root), cgroups.memory_limit(root)) == (2, 1_000_000_000)


@pytest.mark.parametrize("path", ["/", "/../..", "/../other", "/kubepods/not/shown"])
def test_a_group_that_the_mount_does_not_show_has_the_mounts_limits(machine, path):
    root = machine(
        f"0::{path}\n",
        V2.format(root="/", at="/sys/fs/cgroup"),
        **{"cpu.max": "50000 100000\n", "memory.max": "1000000000\n"},
    )
    assert (cgroups.cpu_quota(root), cgroups.memory_limit(root)) == (0.5, 1_000_000_000)


def test_hybrid_mounts_are_read_by_their_own_kind(machine):
    root = machine(
        "5:cpu:/a\n0::/b\n",
        V1.format(root="/", name="cpu") + V2.format(root="/", at="/sys/fs/cgroup/unified"),
        **{
            "cpu/a/cpu.cfs_quota_us": "100000\n",
            "cpu/a/cpu.cfs_period_us": "100000\n",
            "unified/b/memory.max": "700000000\n",
        },
    )
    assert (cgroups.cpu_quota(root), cgroups.memory_limit(root)) == (1, 700_000_000)


def test_limits_above_what_the_container_sees_are_those_that_the_kernel_states(machine):
    root = machine(
        "4:memory:/\n",
        V1.format(root="/", name="memory"),
        **{
            "memory/memory.limit_in_bytes": UNLIMITED,
            "memory/memory.stat": "cache 0\nrss 12\nhierarchical_memory_limit 900000000\n",
        },
    )
    assert cgroups.memory_limit(root) == 900_000_000


def test_memory_high_limits_as_well(machine):
    root = machine("0::/\n", V2.format(root="/", at="/sys/fs/cgroup"), **{"memory.high": "600000000\n"})
    assert cgroups.memory_limit(root) == 600_000_000


def test_spaces_in_mount_points_are_read(machine):
    root = machine("0::/\n", V2.format(root="/", at=r"/sys/fs/cgroup/my\040groups"), **{"my groups/memory.max": "5\n"})
    assert cgroups.memory_limit(root) == 5


@pytest.mark.parametrize("text", ["", "max\n", "0\n", "-5\n", "many\n", "max max\n", "1 0\n", "\0\xff"])
def test_files_that_say_nothing_limit_nothing(machine, text):
    names = ("cpu.max", "memory.max", "memory.high", "memory.limit_in_bytes", "memory.stat", "cpu.cfs_quota_us")
    root = machine(
        "garbage\n0::/\n4:memory,cpu:/\n",
        "garbage\n1 - cgroup\n" + V2.format(root="/", at="/sys/fs/cgroup") + V1.format(root="/", name="memory,cpu"),
        **dict.fromkeys(names, text),
        **{f"memory,cpu/{name}": text for name in names},
    )
    assert cgroups.cpu_quota(root) is None
    assert cgroups.memory_limit(root) is None


def test_a_system_without_control_groups_has_no_such_limits(tmp_path):
    assert cgroups.cpu_quota(tmp_path) is None
    assert cgroups.memory_limit(tmp_path) is None
    assert usable_cores(tmp_path) >= 1
    assert usable_memory(tmp_path) > 0
