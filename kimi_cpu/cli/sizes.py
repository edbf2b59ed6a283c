"""Sizes as people write them."""

import click

from ..config import size_bytes
from ..errors import ConfigError


class SizeType(click.ParamType):
    """48GiB, 64G, 1500000: bytes."""

    name = "size"

    def convert(self, value, param, ctx) -> int:
        """Bytes of a text."""
        try:
            return size_bytes(value)
        except ConfigError as e:
            self.fail(str(e), param, ctx)


SIZE = SizeType()


def in_words(num_bytes: int) -> str:
    """GB where it is large, MB or KB where it is not."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.2f} {unit}"
    return f"{num_bytes} bytes"
