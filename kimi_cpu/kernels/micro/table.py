"""The list of all micro-kernels: the same names at the same places on every tier, so that entries are compiled once."""

from ..codegen.isa import TIERS, Isa
from ..codegen.native import Micro
from . import attention, int8_attention, matmul, rows


def micros(isa: Isa) -> list[Micro]:
    """The micro-kernels of a tier."""
    return [
        *matmul.micros(isa),
        *rows.micros(),
        *attention.micros(),
        *int8_attention.micros(),
    ]


NAMES = list(
    dict.fromkeys(micro.name for tier in TIERS for micro in micros(tier))
)  # the first tier has the largest tiles
INDEX = {name: i for i, name in enumerate(NAMES)}
WORKERS = len(NAMES)  # where an entry finds the number of threads, behind the addresses: runtime.context()
STOP = WORKERS + 1  # and the address of the flag that ends it: runtime.stoppable()
