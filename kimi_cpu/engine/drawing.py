"""One token of one request from one row of logits: guide, bias, penalties, draw, log-probabilities."""

from typing import NamedTuple

import numpy as np

from ..errors import AnswerError, NonFiniteLogits, RequestError
from ..model import sampler
from .request import Request


class TokenLogprob(NamedTuple):
    """Log-softmax of the model's own logits, before bias, penalties and temperature: of a token and of the best."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # (id, logprob), best first
    shown: bytes | None = None  # of the token's bytes, where not all of them are shown


def draw(row: np.ndarray, request: Request) -> tuple[int, TokenLogprob | None]:
    """The request's next token from logits f32[vocab]: forced by its guide, or drawn; and its logprob.

    NonFiniteLogits. AnswerError: the guide allows nothing. Whatever the guide raises.
    """
    check_finite(row)
    s, guide = request.sampling, request.guide
    mask = None if guide is None else guide.mask()
    token_id = None if guide is None else guide.forced()
    if token_id is not None and not 0 <= token_id < len(row):
        raise AnswerError(f"The answer's grammar wants token {token_id}, which the vocabulary does not have.")
    if token_id is None:
        logits = _adjusted(row, request)
        if mask is not None:
            if not mask.any():
                raise AnswerError("The answer's grammar allows no token here.")
            logits = np.where(mask, logits, -np.inf)
        token_id = sampler.sample(logits, request.seed, request.num_tokens, s.temperature, s.top_k, s.top_p, s.min_p)
    if guide is not None:
        guide.accept(token_id)
    if s.logprobs is None:
        return token_id, None
    logprob, top = sampler.log_probabilities(row, token_id, s.logprobs)
    return token_id, TokenLogprob(token_id, logprob, tuple(top))


def check_finite(logits: np.ndarray) -> None:
    """Raises NonFiniteLogits unless all logits f32 are numbers; 11 us for 163,840 of them, as memory gives them."""
    if not np.isfinite(logits).all():
        raise NonFiniteLogits("The model computes NaN or infinity for this request: its weights are damaged.")


def _adjusted(row: np.ndarray, request: Request) -> np.ndarray:
    """The logits after bias and penalties, in vLLM's order. RequestError: they become infinite."""
    s, given = request.sampling, row
    if s.logit_bias:
        row = row.copy()
        row[list(s.logit_bias)] += np.asarray(list(s.logit_bias.values()), np.float32)
    if s.repeat_penalty != 1:
        seen = np.unique(np.asarray(request.prompt_ids + request.output_ids))
        row = sampler.penalize(row, seen, s.repeat_penalty)
    if (s.presence_penalty or s.frequency_penalty) and request.output_ids:
        row = sampler.discourage(row, request.output_ids, s.presence_penalty, s.frequency_penalty)
    if row is not given and not np.isfinite(row).all():
        raise RequestError("repeat_penalty makes logits infinite; choose one nearer to 1.")
    return row
