"""One token of one request from one row of logits: bias, penalties, guide, draw, log-probabilities."""

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
    s = request.sampling
    forced = None if request.guide is None else request.guide.forced()
    if forced is None:
        token_id = sampler.sample(
            _adjusted(row, request), request.seed, request.num_tokens, s.temperature, s.top_k, s.top_p, s.min_p
        )
    else:
        token_id = forced
    if request.guide is not None:
        request.guide.accept(token_id)
    if s.logprobs is None:
        return token_id, None
    logprob, top = sampler.log_probabilities(row, token_id, s.logprobs)
    return token_id, TokenLogprob(token_id, logprob, tuple(top))


def _adjusted(row: np.ndarray, request: Request) -> np.ndarray:
    """The logits after bias, penalties (in vLLM's order) and the guide's mask."""
    s = request.sampling
    if s.logit_bias:
        row = row.copy()
        row[list(s.logit_bias)] += np.asarray(list(s.logit_bias.values()), np.float32)
    if s.repeat_penalty != 1:
        seen = np.unique(np.asarray(request.prompt_ids + request.output_ids))
        row = sampler.penalize(row, seen, s.repeat_penalty)
    if (s.presence_penalty or s.frequency_penalty) and request.output_ids:
        row = sampler.discourage(row, request.output_ids, s.presence_penalty, s.frequency_penalty)
    mask = None if request.guide is None else request.guide.mask()
    return row if mask is None else np.where(mask, row, -np.inf)
