"""Jobs that were read ahead, so that those with a common beginning run one after the other and find it computed."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .source import Job, Rejected

MAX_JOBS = 1024
MAX_BYTES = 64 << 20  # of the lines that are read ahead
BITE = 256  # entries that are read before others get their turn
NUM_TRIED = 32  # jobs that are looked at for one that need not wait
LONG = 1024  # characters of a common beginning for which waiting pays, some 256 tokens

Entry = tuple[int, Job | Rejected] | None  # with its position among the results; None: a line with nothing to do


class Prompts(NamedTuple):
    """Beginnings of the prompts that a model computes now, and of those that it has computed."""

    computing: Sequence[str] = ()
    computed: Sequence[str] = ()

    def num_shared(self, prefix: str) -> int:
        """Length of the beginning that a prompt has in common with one of them; 0 if it is not long."""
        return max(_longest(prefix, self.computing), _longest(prefix, self.computed))

    def should_wait(self, prefix: str) -> bool:
        """Whether a prompt has a long beginning in common with one that is being computed, and with none that is."""
        longest = _longest(prefix, self.computing)
        return longest >= LONG and all(num_common(prefix, other) + LONG <= longest for other in self.computed)


class Window:
    """Takes jobs from entries, a windowful at a time, and gives them out sorted by their prompts."""

    def __init__(self, entries: Iterator[Entry], max_jobs: int = MAX_JOBS):
        self._entries, self._max_jobs = entries, max_jobs
        self._incoming: list[tuple[int, Job]] = []
        self._incoming_bytes = 0
        self._sorted: deque[tuple[int, Job]] = deque()
        self._ended = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to give out, now and later."""
        return self._ended and not self._sorted

    @property
    def has_jobs(self) -> bool:
        """Whether there is one to give out."""
        return bool(self._sorted)

    def fill(self) -> list[tuple[int, Rejected]]:
        """Reads on, a little, if no job is at hand; what cannot be run comes back."""
        rejected = []
        for _ in range(BITE):
            if self._sorted or self._ended:
                break
            entry = next(self._entries, self)
            if entry is self:
                self._ended = True
                self._sort()
            elif entry is not None and isinstance(entry[1], Rejected):
                rejected.append(entry)
            elif entry is not None:
                self._incoming.append(entry)
                self._incoming_bytes += entry[1].line.num_bytes
                if len(self._incoming) >= self._max_jobs or self._incoming_bytes >= MAX_BYTES:
                    self._sort()
        return rejected

    def take(self, here: Prompts, elsewhere: Iterable[Prompts] = ()) -> tuple[int, Job] | None:
        """The next job for the model that has the prompts `here`. None: there is none; or it is better to wait until a
        prompt is computed, or to leave the jobs to other models, which have the prompts `elsewhere`."""
        for i in range(min(NUM_TRIED, len(self._sorted))):
            prefix = self._sorted[i][1].prefix
            if not here.should_wait(prefix) and not _belongs(prefix, here, elsewhere):
                entry = self._sorted[i]
                del self._sorted[i]
                return entry
        return None

    def _sort(self) -> None:
        self._sorted = deque(sorted(self._incoming, key=lambda entry: entry[1].prefix))
        self._incoming, self._incoming_bytes = [], 0


def _belongs(prefix: str, here: Prompts, elsewhere: Iterable[Prompts]) -> bool:
    """Whether another model has more of a prompt than the one here."""
    least = here.num_shared(prefix) + LONG if elsewhere else 0
    return any(prompts.num_shared(prefix) >= least for prompts in elsewhere)


def _longest(prefix: str, prompts: Iterable[str]) -> int:
    """Length of the longest beginning that a prompt has in common with others; 0 if it is not long."""
    head = prefix[:LONG]
    if len(head) < LONG:
        return 0
    return max((num_common(prefix, other) for other in prompts if other.startswith(head)), default=0)


def num_common(a: str, b: str) -> int:
    """Length of the common beginning of two texts."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
