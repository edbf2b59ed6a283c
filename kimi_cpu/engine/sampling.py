"""What a request may ask of the sampler."""

from dataclasses import dataclass

from ..config.fields import SAMPLING


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters under OpenAI's names; top_k, min_p and repeat_penalty under llama.cpp's.

    Defaults are Kimi K2 Thinking's: temperature 1.0, nothing cut off. temperature 0 is greedy. max_tokens None, or -1:
    until the model stops or the context is full. seed None: another one every time; any other integer is a seed,
    negative ones too. logit_bias: what is added to the logits of ids. presence_penalty and frequency_penalty count the
    answer, repeat_penalty the prompt as well. logprobs: how many of the best ids are told of with each token, besides
    its own log-probability; None is off. None stands for the default everywhere. Raises RequestError for a value that
    the table of fields does not allow.
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
        for field in SAMPLING:
            value = getattr(self, field.name)
            if value is not field.default:
                object.__setattr__(self, field.name, field.default if value is None else field.checked(value))
