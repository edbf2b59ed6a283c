"""What a request may ask of the sampler."""

import math
from dataclasses import dataclass

from ..errors import RequestError

MAX_SEED = 2**64


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters under OpenAI's names; top_k, min_p and repeat_penalty under llama.cpp's.

    Defaults are Kimi K2 Thinking's: temperature 1.0, nothing cut off. temperature 0 is greedy. max_tokens None:
    until the model stops or the context is full. seed None: another one every time.
    Raises RequestError for a value out of range.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int | None = None
    stop: str | tuple[str, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self):
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        checks = [
            ("max_tokens", self.max_tokens is None or self.max_tokens >= 0, "0 or more"),
            ("temperature", 0 <= self.temperature < math.inf, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "0 (off) or more"),
            ("min_p", 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repeat_penalty", 0 < self.repeat_penalty < math.inf, "above 0 (1 is off)"),
            ("seed", self.seed is None or 0 <= self.seed < MAX_SEED, "from 0 to 2^64 - 1"),
            ("stop", all(isinstance(s, str) and s for s in stop), "texts that are not empty"),
        ]
        for name, good, wanted in checks:
            if not good:
                raise RequestError(f"{name} is {getattr(self, name)!r}; it must be {wanted}.")
