"""One token of one request from one row of logits: guide, bias, penalties, draw, log-probabilities."""

from typing import NamedTuple

import numpy as np

from ..model import sampler
from .request import Request


class TokenLogprob(NamedTuple):
    """Log-softmax of the model's own logits, before bias, penalties and temperature: of a token and of the best."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # (id, logprob), best first


def draw(row: np.ndarray, request: Request) -> tuple[int, TokenLogprob | None]:
    """The request's next token from logits f32[vocab]: forced by its guide, or drawn; and its logprob."""
    s, guide = request.sampling, request.guide
    mask = None if guide is None else guide.mask()
    token_id = None if guide is None else guide.forced()
    if token_id is None:
        logits = _adjusted(row, request)
        logits = logits if mask is None else np.where(mask, logits, -np.inf)
        token_id = sampler.sample(logits, request.seed, request.num_tokens, s.temperature, s.top_k, s.top_p, s.min_p)
    if guide is not None:
        guide.accept(token_id)
    if s.logprobs is None:
        return token_id, None
    logprob, top = sampler.log_probabilities(row, token_id, s.logprobs)
    return token_id, TokenLogprob(token_id, logprob, tuple(top))


def _adjusted(row: np.ndarray, request: Request) -> np.ndarray:
    """The logits after bias and penalties, in vLLM's order."""
    s = request.sampling
    if s.logit_bias:
        row = row.copy()
        row[list(s.logit_bias)] += np.asarray(list(s.logit_bias.values()), np.float32)
    if s.repeat_penalty != 1:
        seen = np.unique(np.asarray(request.prompt_ids + request.output_ids))
        row = sampler.penalize(row, seen, s.repeat_penalty)
    if (s.presence_penalty or s.frequency_penalty) and request.output_ids:
        row = sampler.discourage(row, request.output_ids, s.presence_penalty, s.frequency_penalty)
    return row
