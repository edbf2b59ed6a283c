"""How fast a model is: how many sequences it should run at once, how soon one of them has its next token, and how many
requests should wait there."""

FIRST = 4  # sequences at once; a step of one reads nearly all that one of a few reads
GAIN = 1.1  # tokens a second, for twice the sequences; less is not worth their memory and everyone's wait
WINDOW_S = 2.0  # measured at least
WINDOW_TOKENS = 8  # a sequence, measured at least
HALF_S = 30.0  # after which a token counts for half in a pace
MISSES = 2  # doublings one after the other without such a gain end the search: one may be another program's doing
BUSY = 0.75  # share of the sequences that must be generating, else it is not their number that is measured


class Limit:
    """target doubles as long as that makes more tokens a second, up to most; then it is the best that was measured.

    fixed: it is most from the start.
    """

    def __init__(self, most: int, fixed: bool = False):
        self.most = most
        self.target = most if fixed else min(FIRST, most)
        self._settled = self.target == most
        self._best, self._best_target, self._misses = 0.0, self.target, 0
        self._since: tuple[float, int] | None = None  # seconds and tokens at the beginning of what is measured

    def observe(self, now_s: float, num_tokens: int, num_generating: int) -> None:
        """At now_s, num_tokens have been generated in all, and num_generating sequences are past their prompt."""
        if self._settled:
            return
        if num_generating < BUSY * self.target:
            self._since = None
        elif self._since is None:
            self._since = now_s, num_tokens
        else:
            seconds, tokens = now_s - self._since[0], num_tokens - self._since[1]
            if seconds >= WINDOW_S and tokens >= WINDOW_TOKENS * self.target:
                self._decide(tokens / seconds)

    def _decide(self, rate: float) -> None:
        self._since = None
        if rate >= GAIN * self._best:
            self._best, self._best_target, self._misses = rate, self.target, 0
        else:
            self._misses += 1
        if self.target == self.most or self._misses == MISSES:
            self.target, self._settled = self._best_target, True
        else:
            self.target = min(2 * self.target, self.most)


class Pace:
    """Tokens a second of one sequence, of late: `rate`; None until a second was seen in which one ran."""

    def __init__(self):
        self._tokens = self._seconds = 0.0  # generated, and waited for by all sequences together; older ones count less
        self._seen: tuple[float, int] | None = None  # seconds and tokens at the last look

    @property
    def rate(self) -> float | None:
        """See the class."""
        return self._tokens / self._seconds if self._seconds else None

    def observe(self, now_s: float, num_tokens: int, num_running: int) -> None:
        """At now_s, num_tokens have been generated in all, and num_running sequences wait for more."""
        if self._seen is not None:
            elapsed = now_s - self._seen[0]
            fade = 0.5 ** (elapsed / HALF_S)
            self._tokens = self._tokens * fade + num_tokens - self._seen[1]
            self._seconds = self._seconds * fade + elapsed * num_running
        self._seen = now_s, num_tokens


class Lead:
    """How many requests should wait at a model that learns late of new ones: `count`, as many as end meanwhile."""

    def __init__(self, lag_s: float):
        """lag_s: see model.Model."""
        self.count = 0
        self._lag_s = lag_s
        self._seen: tuple[float, int] | None = None  # seconds and ends at the last look

    def observe(self, now_s: float, num_ended: int) -> None:
        """At now_s, num_ended requests have ended in all."""
        if self._seen is not None and now_s > self._seen[0]:
            self.count = round(self._lag_s * (num_ended - self._seen[1]) / (now_s - self._seen[0]))
        self._seen = now_s, num_ended
