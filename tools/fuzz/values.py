"""Values that programs trip over, and changes to parsed JSON, to texts and to bytes. All take a random.Random first."""

import json
import math
from random import Random
from typing import Any

INTEGERS = (
    *(0, 1, -1, 2, 3, 7, 15, 31, 33, 255, 4096, 65535, 2**24),
    *(2**31 - 1, 2**31, 2**32 + 1, 2**53, 2**62, 2**63, 2**64),
)
FLOATS = (0.0, -0.0, 5e-324, 1e-320, 1e-45, 1e-30, 1e-6, 0.5, 1.0000001, 1e6, 3e38, 1e39, 1e300, -1.0, -1e300)
OTHERS = (None, True, False, "", "x", "q8", "yarn", "[EOS]", "\ud800", "a\0b", [], {}, [1], [[]], {"a": 1}, "9" * 5000)
TEXTS = (
    *("", "[" * 100_000, '{"a":' * 100_000, "{", "null", "3", "NaN", '"text"'),
    *("[]", "{}", "\0", "1e999", "-" * 50, "9" * 6000),
)


def value(rng: Random, old: Any = None) -> Any:
    """Anything, rather often near the old value."""
    if isinstance(old, bool) or rng.random() < 0.15:
        return rng.choice(OTHERS)
    if isinstance(old, int) and rng.random() < 0.7:
        return rng.choice([old + 1, old - 1, old * 2, old // 2, -old, old + 32, float(old), str(old), *INTEGERS])
    if isinstance(old, float) and rng.random() < 0.7:
        return rng.choice([old * 2, old / 2, -old, 1 / old if old else 1.0, *FLOATS, math.nan, math.inf, -math.inf])
    return rng.choice([*INTEGERS, *FLOATS, *OTHERS, math.nan, math.inf])


def change_json(rng: Random, tree: Any, keys: tuple[str, ...] = ()) -> None:
    """Changes one place of a tree of dictionaries and lists, in place: another value, one less, one more, two swapped.
    keys: names among which the place is rather looked for."""
    places = list(_places(tree))
    if not places:
        return
    chosen = [place for place in places if place[1] in keys]
    holder, key = rng.choice(chosen if chosen and rng.random() < 0.6 else places)
    action = rng.random()
    if action < 0.7:
        holder[key] = value(rng, holder[key])
    elif action < 0.82:
        del holder[key]
    elif action < 0.9:
        other, its_key = rng.choice(places)
        holder[key], other[its_key] = other[its_key], holder[key]
    elif isinstance(holder, dict):
        holder[f"{key}_{rng.choice('abc')}"] = value(rng)
    else:
        holder.insert(key, value(rng, holder[key]))


def dumped(tree: Any) -> str:
    """JSON as Python writes it, NaN and lone surrogates too; a tree that was tied into itself becomes null."""
    try:
        return json.dumps(tree)
    except (ValueError, RecursionError):
        return "null"


def change_text(rng: Random, text: str) -> str:
    """Another text: cut, doubled, or none at all."""
    cut = rng.randrange(len(text) + 1)
    return rng.choice([text[:cut], text[cut:], text + text, text[:cut] + "\0" + text[cut:], *TEXTS])


def change_bytes(rng: Random, data: bytes) -> bytes:
    """Flipped bits, a cut, a splice, a hole, or growth."""
    out, at = bytearray(data), rng.randrange(len(data) + 1)
    length = rng.choice([1, 2, 4, 8, 64, 4096, len(data) // 2 + 1])
    action = rng.randrange(6)
    if action == 0:
        for _ in range(rng.choice([1, 1, 2, 16])):
            if out:
                out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif action == 1:
        del out[at:]
    elif action == 2:
        source = rng.randrange(len(data) + 1)
        out[at : at + length] = data[source : source + length]
    elif action == 3:
        out[at : at + length] = bytes(min(length, len(out) - at))
    elif action == 4:
        out[at:at] = rng.randbytes(min(length, 4096))
    else:
        del out[at : at + length]
    return bytes(out)


def _places(tree: Any):
    """(holder, key) of every value in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, below in list(pairs):
        yield tree, key
        yield from _places(below)
