"""Jobs that were read ahead, so that those with a common beginning run one after the other and find it computed."""

from collections import deque
from collections.abc import Iterable, Iterator

from .source import Job, Rejected

MAX_JOBS = 1024
MAX_BYTES = 64 << 20  # of the lines that are read ahead
BITE = 256  # entries that are read before others get their turn
NUM_TRIED = 32  # jobs that are looked at for one that need not wait
NUM_WARM = 64  # prompts that are remembered as computed
LONG = 1024  # characters of a common beginning for which waiting pays, some 256 tokens

Entry = tuple[int, Job | Rejected] | None  # with its position among the results; None: a line with nothing to do


class Window:
    """Takes jobs from entries, a windowful at a time, and gives them out sorted by their prompts."""

    def __init__(self, entries: Iterator[Entry], max_jobs: int = MAX_JOBS):
        self._entries, self._max_jobs = entries, max_jobs
        self._incoming: list[tuple[int, Job]] = []
        self._incoming_bytes = 0
        self._sorted: deque[tuple[int, Job]] = deque()
        self._warm: deque[str] = deque(maxlen=NUM_WARM)
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

    def take(self, computing: Iterable[str]) -> tuple[int, Job] | None:
        """The next job; None: there is none, or it is better to wait until one of the prompts that are being computed
        is, because it has a long beginning in common with it that no computed prompt has."""
        computing = list(computing)
        for i in range(min(NUM_TRIED, len(self._sorted))):
            if not self._gains_by_waiting(self._sorted[i][1].prefix, computing):
                entry = self._sorted[i]
                del self._sorted[i]
                return entry
        return None

    def computed(self, job: Job) -> None:
        """A job's prompt is computed."""
        self._warm.append(job.prefix)

    def _sort(self) -> None:
        self._sorted = deque(sorted(self._incoming, key=lambda entry: entry[1].prefix))
        self._incoming, self._incoming_bytes = [], 0

    def _gains_by_waiting(self, prefix: str, computing: list[str]) -> bool:
        head = prefix[:LONG]
        longest = max((num_common(prefix, other) for other in computing if other.startswith(head)), default=0)
        return longest >= LONG and all(num_common(prefix, other) + LONG <= longest for other in self._warm)


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
