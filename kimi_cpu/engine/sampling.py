"""One token of one request from one row of logits: guide, bias, penalties, draw, log-probabilities.

Random numbers depend on (seed, position) alone, so a token does not depend on company.
"""

from typing import NamedTuple

import numpy as np

from ..errors import AnswerError, NonFiniteLogits, RequestError
from .request import Request

HEAD = 1024  # candidates that are sorted first; few draws and few nuclei reach further (sorting 163,840 takes 13 ms)


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
        temperature = 1.0 if s.temperature is None else s.temperature
        token_id = sample(logits, request.seed, request.num_tokens, temperature, s.top_k, s.top_p, s.min_p)
    if guide is not None:
        guide.accept(token_id)
    if s.logprobs is None:
        return token_id, None
    logprob, top = log_probabilities(row, token_id, s.logprobs)
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
        seen = np.unique(request.tokens(0, request.num_tokens).ids)
        row = penalize(row, seen, s.repeat_penalty)
    if (s.presence_penalty or s.frequency_penalty) and request.output_ids:
        row = discourage(row, request.output_ids, s.presence_penalty, s.frequency_penalty)
    if row is not given and not np.isfinite(row).all():
        raise RequestError("repeat_penalty makes logits infinite; choose one nearer to 1.")
    return row


def sample(
    row: np.ndarray,
    seed: int,
    position: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> int:
    """The id of the token at a position of its sequence, from logits f32[vocab].

    temperature 0 is greedy, and the lowest of equal ids; top_k 0, top_p 1, min_p 0 are off. Temperature first, then
    top-k, top-p and min-p, as vLLM orders them; one id by inversion of the cumulative distribution over the
    candidates, best first, equal ones by id.
    """
    if temperature == 0:
        return int(np.argmax(row))
    top_k = min(top_k or len(row), len(row))
    u = uniform(seed, position)
    for size in (HEAD, top_k) if HEAD < top_k == len(row) else (top_k,):
        candidates = _best(row, size)
        p = _weights(row[candidates], temperature)
        mass = p.sum() if size == top_k else _weights(row, temperature).sum()
        index = _pick(p, mass, size == top_k, top_p, min_p, u)
        if index is not None:
            return int(candidates[index])
    raise AssertionError("all candidates have all of the weight")


def penalize(row: np.ndarray, seen: np.ndarray, repeat: float) -> np.ndarray:
    """A copy of row f32[vocab] in which the logits of the ids seen are made smaller (Keskar et al., 2019, sec. 4.1)."""
    out = row.copy()
    values = out[seen]
    with np.errstate(over="ignore"):  # the caller looks for infinities
        out[seen] = np.where(values > 0, values / np.float32(repeat), values * np.float32(repeat))
    return out


def discourage(row: np.ndarray, generated: list[int], presence: float, frequency: float) -> np.ndarray:
    """A copy of row f32[vocab] less presence once, and frequency each time, for ids generated so far (OpenAI's API)."""
    out = row.copy()
    ids, counts = np.unique(np.asarray(generated, np.int64), return_counts=True)
    out[ids] -= (presence + frequency * counts).astype(np.float32)
    return out


def log_probabilities(row: np.ndarray, token_id: int, num_top: int) -> tuple[float, list[tuple[int, float]]]:
    """Log-softmax of logits f32[vocab]: of one id, and of the num_top best ones as (id, value), equal ones by id."""
    top = float(row.max())
    total = top + float(np.log(np.exp(row.astype(np.float64) - top).sum()))
    best = _best(row, num_top) if num_top else ()
    return float(row[token_id]) - total, [(int(i), float(row[i]) - total) for i in best]


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that (seed, position) alone decides: Philox4x64 (Salmon et al., 2011)."""
    return np.random.Generator(
        np.random.Philox(key=np.array([seed, 0], np.uint64), counter=[0, position, 0, 0])
    ).random()


def _best(row: np.ndarray, size: int) -> np.ndarray:
    """The `size` best ids, best first, equal ones by id."""
    if size < len(row):
        candidates = np.flatnonzero(row >= np.partition(row, -size)[-size])
    else:
        candidates = np.arange(len(row))
    return candidates[np.argsort(-row[candidates], kind="stable")[:size]]


def _weights(row: np.ndarray, temperature: float) -> np.ndarray:
    """exp((logit - largest) / temperature), f64."""
    return np.exp((row.astype(np.float64) - float(row.max())) / temperature)


def _pick(p: np.ndarray, mass: float, complete: bool, top_p: float, min_p: float, u: float) -> int | None:
    """Index into weights p, the best of a distribution, best first, whose sum is mass; None: more of them are needed.

    complete: p are all.
    """
    cumulative, keep = np.cumsum(p), len(p)
    if top_p < 1:
        keep = min(keep, int(np.searchsorted(cumulative, top_p * mass)) + 1)
    if min_p > 0:
        keep = min(keep, int(np.count_nonzero(p >= min_p * p[0])))
    if complete or keep < len(p):
        mass = cumulative[keep - 1]
    elif top_p < 1 or min_p > 0 or u * mass >= cumulative[-1]:
        return None
    return min(int(np.searchsorted(cumulative[:keep], u * mass, "right")), keep - 1)
