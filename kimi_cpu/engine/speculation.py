"""Prompt lookup: the tokens that followed the same words before are drafted, and verified in one forward pass.

A draft changes what a step computes, never which tokens come out (Engine.finish). So this file may go by the clock: it
drafts as many tokens as its own statistics say will pay.
"""

from weakref import WeakKeyDictionary

import numpy as np

from .request import Request

MAX_DRAFT = 8  # tokens
NGRAM = 3  # tokens that must be the same before a draft; with 2 half of the drafts are wrong at once
FIRST_RATE = 0.3  # share of drafted tokens that come true, before any was seen
RATE_STEP = 0.2  # weight of the latest drafted token in that share
FIRST_SLOPE = 0.5  # cost of one more row in steps of one row, before it was measured: half of K2's bytes are experts
MEMORY = 0.97  # weight that an earlier step keeps in the fit of costs, a step later
OUTLIER = 4.0  # a step that took more than this many times what was expected was disturbed
MIN_GAIN = 1.03
STRETCH = 1 << 14  # tokens of a prompt that are looked through at once


class Speculation:
    """Drafts for decoding requests, and what is known of their worth. Used by one thread at a time."""

    def __init__(self):
        self._lookups: WeakKeyDictionary[Request, _Lookup] = WeakKeyDictionary()
        self._costs = _StepCosts()

    def propose(self, request: Request, num_rows: int, limit: int) -> list[int]:
        """Ids that may follow a request's last token, at most `limit`; none when they would not pay.

        num_rows: rows of the step without drafts. Call it once in each step in which the request decodes: what was
        predicted is compared with what came, also where nothing was drafted.
        """
        lookup = self._lookups.get(request)
        if lookup is None:
            lookup = self._lookups[request] = _Lookup(request)
        lookup.settle()
        draft = lookup.predict()[:limit]
        return draft[: self._best_length(lookup.rate, num_rows, len(draft))]

    def observe(self, num_rows: int, seconds: float) -> None:
        """A step of decode rows alone took so long."""
        self._costs.add(num_rows, seconds)

    def _best_length(self, rate: float, num_rows: int, limit: int) -> int:
        """Drafted tokens for which the tokens a second of the step are most; 0 unless they grow."""
        best, length, expected, power = MIN_GAIN * num_rows / self._costs.of(num_rows), 0, float(num_rows), 1.0
        for count in range(1, limit + 1):
            power *= rate  # a token counts when all before it came true
            expected += power
            speed = expected / self._costs.of(num_rows + count)
            if speed > best:
                best, length = speed, count
        return length


class _Lookup:
    """The last place of each n-gram in one request's tokens, and the share of predictions from it that came true."""

    def __init__(self, request: Request):
        self._given = request.tokens(0, request.num_prompt_tokens).ids  # not the request, which must be free to go
        self._outputs = request.output_ids
        self._after: dict[tuple[int, ...], int] = {}  # n-gram that ends in the answer: index of the token after it
        self._num_indexed = self._num_settled = len(self._given)
        self._predicted: list[int] = []
        self.rate = FIRST_RATE

    def settle(self) -> None:
        """Compares the tokens that came with what was predicted."""
        came = self._part(self._num_settled, self._length)
        self._num_settled = self._length
        for predicted, token_id in zip(self._predicted, came, strict=False):
            self.rate += RATE_STEP * ((predicted == token_id) - self.rate)
            if predicted != token_id:
                break

    def predict(self) -> list[int]:
        """The tokens that followed the last n-gram when it occurred before; a repetition is taken to go on."""
        for end in range(max(self._num_indexed, NGRAM), self._length):  # the last one is what is looked up
            self._after[tuple(self._part(end - NGRAM, end))] = end
        self._num_indexed = self._length
        last = self._part(max(self._length - NGRAM, 0), self._length)
        at = self._after.get(tuple(last)) or _after_last(self._given, last)
        self._predicted = []
        if at is not None:
            period = self._part(at, min(at + MAX_DRAFT, self._length))  # shorter where the sequence ends
            self._predicted = [period[i % len(period)] for i in range(MAX_DRAFT)]
        return self._predicted

    @property
    def _length(self) -> int:
        return len(self._given) + len(self._outputs)

    def _part(self, start: int, stop: int) -> list[int]:
        """Tokens [start, stop) of prompt and answer taken together."""
        n = len(self._given)
        return self._given[start : min(stop, n)].tolist() + self._outputs[max(start - n, 0) : max(stop - n, 0)]


def _after_last(ids: np.ndarray, ngram: list[int]) -> int | None:
    """Index of the token after the last occurrence of an n-gram in a prompt's ids i32[n]. They are looked through, from
    the end: 4 bytes a token, where attention reads a thousand and more in the same step; an index takes memory."""
    if len(ngram) < NGRAM:
        return None
    for end in range(len(ids) - 1, NGRAM - 1, -STRETCH):  # places after an n-gram, up to the last token's
        begin = max(end - STRETCH, NGRAM - 1)
        found = ids[begin:end] == ngram[-1]
        for back in range(1, NGRAM):
            found &= ids[begin - back : end - back] == ngram[-1 - back]
        if found.any():
            return end - int(found[::-1].argmax())
    return None


class _StepCosts:
    """Seconds of a step as a straight line over its rows, fitted to the latest steps, with a guess of little weight."""

    def __init__(self):
        self._sums = np.zeros(5)  # of 1, rows, seconds, rows^2, rows * seconds

    def add(self, num_rows: int, seconds: float) -> None:
        """One more step."""
        if self._sums[0]:
            seconds = min(seconds, OUTLIER * self.of(num_rows))
        self._sums = MEMORY * self._sums + (1, num_rows, seconds, num_rows**2, num_rows * seconds)

    def of(self, num_rows: int) -> float:
        """Expected seconds; in any unit before the first step."""
        weight, *sums = self._sums
        if not weight:
            return 1 + FIRST_SLOPE * (num_rows - 1)
        rows, seconds, rows2, product = (x / weight for x in sums)
        guess = FIRST_SLOPE * seconds / (1 + FIRST_SLOPE * (rows - 1))
        slope = (weight * (product - rows * seconds) + guess) / (weight * (rows2 - rows**2) + 1)
        return max(seconds + max(slope, 0.0) * (num_rows - rows), seconds / 100)
