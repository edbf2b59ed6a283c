"""All micro-kernels as a table: the same names at the same places on every tier, so that entries are compiled once."""

from ..codegen.native import TIERS, Micro
from ..codegen.simd import Isa
from . import attention, matmul, rows


def micros(isa: Isa) -> list[Micro]:
    """The micro-kernels of a tier."""
    return [*matmul.micros(isa), *rows.micros(), *attention.micros()]


# What an entry gets (runtime.context()): the addresses of all micro-kernels, and more words behind them.
NAMES = list(dict.fromkeys(micro.name for tier in TIERS for micro in micros(tier)))  # some tiers have no large tiles
INDEX = {name: i for i, name in enumerate(NAMES)}
WORKERS = len(NAMES)  # index of the number of threads
STOP = WORKERS + 1  # index of the address of the flag that stops the work: runtime.stoppable()
AHEAD = STOP + 1  # index of the distance, in bytes, at which the first tile asks for weights; the other tiles' follow
TILES = [name for name in NAMES if name.startswith(("tile_", "pair_"))]
assert NAMES[: len(TILES)] == TILES, "a tile's distance has the tile's place"
_SIZES = (  # only speed depends on them: tuning.py says what they are
    "stream_bytes",
    "streaming_tokens",
    "streams",
    "chunk_bytes",
    "blocks_per_task",
    "absorb_ahead",
    "prefetch_bytes",
    "stagger",
)
SIZE = {name: AHEAD + len(TILES) + i for i, name in enumerate(_SIZES)}  # their indices
WORDS = AHEAD + len(TILES) + len(_SIZES)
