"""Whether a model fits in a machine, and how fast it can be there: decoding reads the same weights for every token."""

from typing import NamedTuple

from ..kernels import memory_reader, runtime
from ..machine import MemoryBandwidth
from .needs import Needs


class Machine(NamedTuple):
    """memory: bytes of RAM for a model. bandwidth: GB/s at which they are read."""

    memory: int
    bandwidth: float


class Prediction(NamedTuple):
    """missing: bytes of RAM by which weights and cache exceed the memory, 0 when they fit. from_disk: bytes read from
    disk for one token then, at most. tokens_per_s: of one sequence, at most, with all weights in RAM."""

    missing: int
    from_disk: int
    tokens_per_s: float


def predict(needs: Needs, machine: Machine) -> Prediction:
    """The prediction for a model on a machine."""
    return Prediction(
        missing=max(0, needs.memory - machine.memory),
        from_disk=needs.from_disk(max(0, machine.memory - needs.cache)),
        tokens_per_s=machine.bandwidth * 1e9 / needs.token,
    )


def memory_bandwidth() -> MemoryBandwidth:
    """The bandwidth of this machine's memory: read by the kernels' threads, kept beside their compiled code."""
    return MemoryBandwidth(runtime.cache_folder(), memory_reader.fastest_pass)
