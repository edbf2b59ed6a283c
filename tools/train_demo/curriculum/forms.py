"""Sentences put together from parts: forms in which [a|b] is a or b."""

import random
import re

INNER = re.compile(r"\[([^\[\]]*)\]")
SPACES = re.compile(r"  +")


def flat(form: str) -> str:
    """The form without the ends of its lines."""
    return re.sub(r"\s*\n\s*", " ", re.sub(r"\s*\n\s*(?=\|)", "", form)).strip()


def spun(rng: random.Random, form: str) -> str:
    """One of the sentences of a form, in which [a|b] is a or b; forms may stand in one another."""
    while "[" in form:
        form = INNER.sub(lambda found: rng.choice(found[1].split("|")), form)
    return SPACES.sub(" ", form).strip()


def branches(form: str) -> list[str]:
    """The alternatives of a form, outside of its brackets."""
    parts, depth = [""], 0
    for sign in form:
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts
