"""The list of all micro-kernels: the same names at the same places on every tier, so that entries are compiled once."""

from . import micro_attention, micro_int8_attention, micro_matmul, micro_rows
from .isa import TIERS, Isa
from .native import Micro


def micros(isa: Isa) -> list[Micro]:
    """The micro-kernels of a tier."""
    return [
        *micro_matmul.micros(isa),
        *micro_rows.micros(),
        *micro_attention.micros(),
        *micro_int8_attention.micros(),
    ]


NAMES = list(
    dict.fromkeys(micro.name for tier in TIERS for micro in micros(tier))
)  # the first tier has the largest tiles
INDEX = {name: i for i, name in enumerate(NAMES)}
WORKERS = len(NAMES)  # where an entry finds the number of threads, behind the addresses: runtime.context()
STOP = WORKERS + 1  # and the address of the flag that ends it: runtime.stoppable()
