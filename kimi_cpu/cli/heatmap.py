"""Pictures of counts [layers, experts]: lines of blocks for a terminal, and a PNG."""

import math
import zlib
from pathlib import Path

import numpy as np

from ..files import check_replaceable, open_regular, replacing

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BLOCKS = " ▁▂▃▄▅▆▇█"
COLUMNS = 64  # of blocks, at most
CELL = (8, 3)  # pixels of an expert: height, width
BRIGHTEST = 8.0  # times as often as the mean of its layer
PALETTE = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])  # matplotlib's inferno


def blocks(counts: np.ndarray) -> str:
    """A layer's counts [experts] by number of the expert, those of neighbours together where there are many."""
    columns = [float(part.sum()) for part in np.array_split(counts, min(COLUMNS, len(counts)))]
    most = max(columns) or 1
    return "".join(BLOCKS[math.ceil(count / most * (len(BLOCKS) - 1))] for count in columns)


def write(path: Path, counts: np.ndarray) -> None:
    """Writes the picture, in place of another one. ConfigError: a file of another kind stands there. OSError."""
    check_replaceable(path, "PNG", _is_png, force=True)
    with replacing(path) as file:
        file.write(png(counts))


def png(counts: np.ndarray) -> bytes:
    """A picture with a row for each layer and a column for each expert, the brighter the more often it is used.

    Logarithmic in the ratio to the mean of its layer. PNG (ISO/IEC 15948), RGB of 8 bits.
    """
    mean = np.maximum(counts.mean(axis=1, keepdims=True), 1e-9)
    level = np.minimum(np.log1p(counts / mean) / np.log1p(BRIGHTEST), 1)
    at = level * (len(PALETTE) - 1)
    below = np.minimum(at.astype(int), len(PALETTE) - 2)
    part = (at - below)[..., None]
    pixels = np.rint((1 - part) * PALETTE[below] + part * PALETTE[below + 1]).astype(np.uint8)
    pixels = pixels.repeat(CELL[0], axis=0).repeat(CELL[1], axis=1)
    height, width, _ = pixels.shape
    unfiltered = np.zeros((height, 1), np.uint8)  # each line begins with the number of its filter
    lines = np.concatenate([unfiltered, pixels.reshape(height, -1)], axis=1)
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"".join(
        [
            SIGNATURE,
            _chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0])),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _is_png(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
