"""The loop between jobs and results. It loses none of them, and knows neither files nor the model."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from .model import Answered, Failed, Tokens
from .pool import Flight, Pool
from .results import Digests, Failure, failure, success, was_cut
from .source import Entry, Job, Rejected, Window

SYNC_S = 1.0  # a result is on the disk after this
CHECKPOINT_TOKENS = 32  # of an answer, that are saved together


class Sink(Protocol):
    """Takes results. What was put is safe when sync returns."""

    def put(self, position: int, key: bytes, line: bytes) -> None: ...

    def checkpoint(self, key: bytes, digest: bytes, start: int, ids: list[int]) -> None: ...

    def sync(self) -> None: ...


@dataclass(frozen=True)
class Tally:
    """Progress of a loop. Results count when they are safe."""

    completed: int = 0
    failed: int = 0
    tokens: Tokens = Tokens()  # of the results that count
    num_generated: int = 0  # tokens, of unfinished answers too
    num_running: int = 0
    limit: int = 0  # sequences that may run at once
    num_cut: int = 0  # of the completed, those with an answer that ended at its limit of tokens
    num_cut_empty: int = 0  # those of them that had nothing but thinking until then


class Loop:
    """run() answers entries until there are none, or until `stopped` says so."""

    def __init__(
        self,
        pool: Pool,
        sink: Sink,
        run_digest: bytes,
        known_ids: Callable[[bytes, bytes], list[int]],
        stopped: Callable[[], bool],
        report: Callable[[Tally], None],
        sync_s: float = SYNC_S,
        checkpoint_tokens: int = CHECKPOINT_TOKENS,
    ):
        """run_digest: results carry it. known_ids: ids in a checkpoint of the answer to a key and a request's digest.
        report: called after every sync."""
        self._pool, self._sink, self._run_digest = pool, sink, run_digest
        self._known_ids, self._stopped, self._report = known_ids, stopped, report
        self._sync_s, self._checkpoint_tokens = sync_s, checkpoint_tokens
        self._reached = Tally()  # with the results that are not safe yet
        self._synced_at = time.monotonic()
        self.tally = Tally()

    def run(self, entries: Iterator[Entry]) -> None:
        """Answers all entries; `tally` says how far it came. When stopped, unfinished answers are saved and cancelled.

        Raises what made the model or the sink fail; results that were safe stay so.
        """
        window = Window(entries)
        try:
            while not self._stopped() and (self._pool.flights or not window.is_empty):
                more = self._admit(window)
                idle = not more and (self._pool.flights or window.has_jobs)
                for flight in self._pool.wait(self._left_s() if idle else 0.0):
                    if flight.outcome is not None:
                        self._land(flight, flight.outcome)
                if self._pool.error is not None:
                    self._sync(self._checkpoint_tokens)
                    raise self._pool.error
                if self._left_s() <= 0:
                    self._sync(self._checkpoint_tokens)
        finally:
            self._pool.cancel()
        self._sync(checkpoint_tokens=1)

    def _left_s(self) -> float:
        return self._synced_at + self._sync_s - time.monotonic()

    def _admit(self, window: Window) -> bool:
        """Starts what may be started. True: there is more to read at once."""
        for position, rejected in window.fill():
            self._put_failure(position, rejected, rejected.why)
            self._reached = replace(self._reached, failed=self._reached.failed + 1)
        self._pool.admit(window, self._known_ids)
        return not window.has_jobs and not window.is_empty

    def _land(self, flight: Flight, outcome: Answered | Failed) -> None:
        """Puts the result of a flight that ended."""
        job, reached = flight.job, self._reached
        if isinstance(outcome, Failed):
            self._put_failure(flight.position, job, outcome.why)
            self._reached = replace(reached, failed=reached.failed + 1)
            return
        digests = Digests(job.digest, self._run_digest)
        self._sink.put(flight.position, job.key, success(job.key, job.custom_id, outcome.body, digests))
        is_cut, is_empty = was_cut(outcome.body)
        self._reached = replace(
            reached,
            completed=reached.completed + 1,
            num_cut=reached.num_cut + is_cut,
            num_cut_empty=reached.num_cut_empty + is_empty,
            tokens=reached.tokens + outcome.tokens,
        )

    def _put_failure(self, position: int, item: Job | Rejected, why: Failure) -> None:
        digests = Digests(item.digest, self._run_digest)
        self._sink.put(position, item.key, failure(item.key, item.custom_id, why, digests))

    def _sync(self, checkpoint_tokens: int) -> None:
        flights = self._pool.flights
        for flight in flights:
            self._save(flight, checkpoint_tokens)
        self._sink.sync()
        self._synced_at = time.monotonic()
        self._pool.observe(self._synced_at)
        self.tally = replace(
            self._reached,
            num_generated=self._pool.num_generated,
            num_running=len(flights),
            limit=self._pool.limit,
        )
        self._report(self.tally)

    def _save(self, flight: Flight, checkpoint_tokens: int) -> None:
        """Puts new ids into a checkpoint: all but the last, which may be the answer's end."""
        num_safe = len(flight.ids) - 1
        if flight.resumable and num_safe >= flight.num_saved + checkpoint_tokens:
            job, ids = flight.job, flight.ids[flight.num_saved : num_safe]
            self._sink.checkpoint(job.key, job.digest, flight.num_saved, ids)
            flight.num_saved = num_safe
