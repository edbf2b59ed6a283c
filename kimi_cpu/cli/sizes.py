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
