"""Whether stored weights can be computed with: neither NaN nor infinite, nor so large that their squares are.

What lies between an expert's matrices and the next expert must be zeros: else a matrix is described as another kind.
"""

from collections.abc import Iterator

import numpy as np

from ..modelfile import ModelFile
from ..quant.rows16 import BLOCK_BYTES, ROWS, packed_bytes

PIECE_BYTES = 1 << 20
GAP = "gap"  # zeros after the last matrix of an expert
MAX_WEIGHT = 2.0**60  # its square is within f32; weights of models are below 2^14
MAX_BITS = 0x5D80  # MAX_WEIGHT as bf16
Piece = tuple[int, int, str | None]  # first byte, bytes, packed kind, F32, or GAP; None: bytes that are no weights


def pieces(model: ModelFile, name: str, nbytes: int) -> Iterator[Piece]:
    """A tensor, or one expert of it, of nbytes bytes, in pieces of about a MiB that hold whole blocks."""
    described, end = model.packed.get(name), 0
    if described is not None and "parts" in described:
        matrices = [(p["offset"], p["kind"], p["rows"], p["cols"]) for p in described["parts"].values()]
    else:
        matrices = [] if described is None else [(0, described["kind"], described["rows"], described["cols"])]
    for offset, kind, rows, cols in sorted(matrices):
        yield from _cut(end, offset - end, GAP)
        end = offset + packed_bytes(kind, rows, cols)
        yield from _cut(offset, end - offset, kind)
    if described is not None:
        yield from _cut(end, nbytes - end, GAP)
    else:
        yield from _cut(end, nbytes - end, "F32" if model.tensors[name].ggml_type == "F32" else None)


def is_sound(kind: str | None, data: bytes) -> bool:
    """Whether all weights in a piece of a kind can be computed with."""
    if kind is None or not data:
        return True
    if kind == GAP:
        return not any(data)
    if kind == "F32":
        return bool((np.abs(np.frombuffer(data, np.float32)) < MAX_WEIGHT).all())
    if kind == "bf16":
        bits = np.frombuffer(data, np.uint16)
    else:  # the scales of each block
        bits = np.frombuffer(data, np.uint16).reshape(-1, BLOCK_BYTES[kind] // 2)[:, :ROWS]
    return int((bits & 0x7FFF).max()) < MAX_BITS


def _cut(start: int, nbytes: int, kind: str | None) -> Iterator[Piece]:
    block = BLOCK_BYTES.get(kind, 4)
    step = PIECE_BYTES // block * block
    for at in range(start, start + nbytes, step):
        yield at, min(step, start + nbytes - at), kind
