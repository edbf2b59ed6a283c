"""What may come of a case: an answer, or a refusal of the right class in one sentence. Everything else is a Fault."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kimi_cpu.errors import DoesNotFit, KimiError, ModelFileError

ANSWERED, REFUSED = "answered", "refused"
MAX_MESSAGE = 700  # characters: one sentence, and the path of a file twice
IDS = [5, 17, 3, 99, 42]


class Fault(Exception):
    """Something that must not happen."""


def attempt(call: Callable[[], Any], *allowed: type[KimiError], names: str | None = None) -> tuple[Any, str | None]:
    """(what a call returns, None), or (None, the sentence with which it refuses). names: what the sentence must hold.

    Fault: an error of another class than those allowed (a model file's, by default), or no sentence.
    """
    allowed = allowed or (ModelFileError, DoesNotFit)
    try:
        return call(), None
    except KimiError as e:
        message = str(e)
        if not isinstance(e, allowed):
            raise Fault(f"{type(e).__name__}, which is not allowed here: {message[:300]}") from e
        if not message or "\n" in message or len(message) > MAX_MESSAGE:
            raise Fault(f"no sentence: {message[:MAX_MESSAGE]!r}") from e
        if names is not None and names not in message:
            raise Fault(f"{names} is not named: {message[:300]}") from e
        return None, message


def require_finite(logits: np.ndarray) -> None:
    """Fault: NaN or infinity came out, and nobody said so."""
    if not np.isfinite(logits).all():
        raise Fault("logits that are not finite, and no error")
