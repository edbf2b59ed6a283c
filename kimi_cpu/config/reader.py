"""Typed access to the values of a configuration, with errors that name the key."""

from collections.abc import Iterable

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

    def only(self, key: str, *allowed, default=REQUIRED):
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
