"""What a request may ask of the sampler."""

import sys
from dataclasses import dataclass

from ..errors import RequestError

MAX_SEED = 2**64
LARGEST = sys.float_info.max  # an integer beyond it becomes no float
MAX_LOGPROBS = 20  # OpenAI's limit of top_logprobs


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters under OpenAI's names; top_k, min_p and repeat_penalty under llama.cpp's.

    Defaults are Kimi K2 Thinking's: temperature 1.0, nothing cut off. temperature 0 is greedy. max_tokens None:
    until the model stops or the context is full. seed None: another one every time. logit_bias: what is added to the
    logits of ids. presence_penalty and frequency_penalty count the answer, repeat_penalty the prompt as well.
    logprobs: how many of the best ids are told of with each token, besides its own log-probability; None is off.
    Raises RequestError for a value out of range.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self):
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        bias = _integer_keys(self.logit_bias or {})
        object.__setattr__(self, "logit_bias", bias)
        checks = [
            ("max_tokens", self.max_tokens is None or self.max_tokens >= 0, "0 or more"),
            ("temperature", 0 <= self.temperature <= LARGEST, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "0 (off) or more"),
            ("min_p", 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repeat_penalty", 0 < self.repeat_penalty <= LARGEST, "above 0 (1 is off)"),
            ("presence_penalty", -2 <= self.presence_penalty <= 2, "from -2 to 2"),
            ("frequency_penalty", -2 <= self.frequency_penalty <= 2, "from -2 to 2"),
            ("logit_bias", all(-100 <= b <= 100 for b in bias.values()), "a dict of token ids with -100 to 100 each"),
            ("logprobs", self.logprobs is None or 0 <= self.logprobs <= MAX_LOGPROBS, f"from 0 to {MAX_LOGPROBS}"),
            ("seed", self.seed is None or 0 <= self.seed < MAX_SEED, "from 0 to 2^64 - 1"),
            ("stop", all(isinstance(s, str) and s for s in stop), "texts that are not empty"),
        ]
        for name, good, wanted in checks:
            if not good:
                raise RequestError(f"{name} is {getattr(self, name)!r}; it must be {wanted}.")


def _integer_keys(bias: dict) -> dict[int, float]:
    """JSON has text for keys."""
    try:
        return {int(token_id): float(value) for token_id, value in bias.items()}
    except (AttributeError, TypeError, ValueError) as e:
        raise RequestError(f"logit_bias is {bias!r}; it must be a dict of token ids with -100 to 100 each.") from e
