"""Values as files and people write them: typed access to the keys of a configuration, names in a message, sizes."""

import re
from collections.abc import Iterable
from typing import Any

from ..errors import ConfigError, shown

MAX_INT = 2**31 - 1
MAX_LISTED = 20  # names in a message

REQUIRED = object()


class Reader:
    """Typed access to one JSON object; remembers which keys were asked for. `where` prefixes their names."""

    def __init__(self, values: dict, where: str = ""):
        self.values = values
        self.where = where
        self.read = set()

    def get(self, key: str, default=REQUIRED):
        """The raw value; an absent key gives the default, or ConfigError when there is none."""
        self.read.add(key)
        if key not in self.values and default is REQUIRED:
            raise ConfigError(f"The configuration lacks {self.where}{key}, which the model cannot be computed without.")
        return self.values.get(key, default)

    def integer(self, key: str, default=REQUIRED) -> int:
        """An int in 0..2^31-1; a null counts as absent."""
        value = self._not_null(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INT:
            raise ConfigError(f"{self.where}{key} is {shown(value)} in the configuration; it must be a whole number.")
        return value

    def number(self, key: str, default=REQUIRED) -> float:
        """A finite float; a null counts as absent."""
        value = self._not_null(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise ConfigError(f"{self.where}{key} is {shown(value)} in the configuration; it must be a finite number.")
        return float(value)

    def flag(self, key: str, default=REQUIRED) -> bool:
        """True or false; a null counts as absent."""
        value = self._not_null(key, default)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.where}{key} is {shown(value)} in the configuration; it must be true or false.")
        return value

    def only(self, key: str, *allowed: Any, default: Any = REQUIRED) -> Any:
        """A value that must be one of those that the engine implements."""
        value = self._not_null(key, default)
        if not any(value is a or (value == a and type(value) is type(a)) for a in allowed):
            names = " or ".join(repr(a) for a in allowed)
            raise ConfigError(f"{self.where}{key} is {shown(value)}; this engine implements only {names}.")
        return value

    def unknown(self, *known: frozenset) -> list[str]:
        """The keys that nobody asked for and that are in none of the sets."""
        return sorted(self.where + str(key) for key in self.values.keys() - self.read - frozenset().union(*known))

    def _not_null(self, key: str, default):
        value = self.get(key, default)
        if value is None and default is not REQUIRED:
            return default
        return value


def listed(names: Iterable[str]) -> str:
    """Names as a message lists them: the first ones, and how many more there are."""
    names = list(names)
    more = len(names) - MAX_LISTED
    return ", ".join(map(_short, names[:MAX_LISTED])) + (f" and {more:,} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


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
