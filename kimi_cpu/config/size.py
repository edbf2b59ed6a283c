"""Sizes as people write them."""

import re

from ..errors import ConfigError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def size_bytes(value: int | str) -> int:
    """Bytes of 48GiB, 64G or 1500000. ConfigError: it is not a size."""
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([KMGT]?I?)B?\s*", str(value).upper())
    if not found or found[2] not in UNITS:
        raise ConfigError(f"{value!r} is not a size; write it as 48GiB or 64GB.")
    return int(float(found[1]) * UNITS[found[2]])


def in_words(num_bytes: int) -> str:
    """GB where it is large, MB or KB where it is not."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.2f} {unit}"
    return f"{num_bytes} bytes"
