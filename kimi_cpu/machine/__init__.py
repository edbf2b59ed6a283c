"""The machine, as far as this process may use it: the least of what is there and of what the system lets it have."""

from .bandwidth import MemoryBandwidth, Pass
from .disk import disk_rate
from .numa import interleave, interleaved, several_nodes
from .pressure import spare_memory, stalled_s
from .usable import (
    address_space,
    bound_heap,
    cpus_by_core,
    free_memory,
    trim_heap,
    usable_cores,
    usable_cpus,
    usable_memory,
)

__all__ = [
    "MemoryBandwidth",
    "Pass",
    "address_space",
    "bound_heap",
    "cpus_by_core",
    "disk_rate",
    "free_memory",
    "interleave",
    "interleaved",
    "several_nodes",
    "spare_memory",
    "stalled_s",
    "trim_heap",
    "usable_cores",
    "usable_cpus",
    "usable_memory",
]
