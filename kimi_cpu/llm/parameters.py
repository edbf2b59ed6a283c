"""What a caller gives, as UTF-8 and JSON can hold it, once and before anything is made of it."""

from typing import Any

from ..errors import RequestError
from ..tokenizer import without_surrogates

MAX_DEPTH = 256  # of lists and objects; Python's own limit is 1,000 calls, and what walks a value takes two a level


def well_formed(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value with U+FFFD for each half of a surrogate pair that stands alone, in all texts and names of lists and
    dicts in it. RequestError: it is nested deeper than `depth`."""
    if isinstance(value, str):
        return without_surrogates(value)
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise RequestError(f"A value is nested more than {MAX_DEPTH} deep; make it flatter.")
    if isinstance(value, list):
        return [well_formed(item, depth - 1) for item in value]
    return {well_formed(name): well_formed(item, depth - 1) for name, item in value.items()}
