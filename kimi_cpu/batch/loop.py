"""The loop between jobs and results: whence they come and where they go is not its business; that none is lost is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from .limit import Limit
from .results import Digests, Failure, failure, success, was_cut
from .source import Job, Rejected
from .window import Entry, Window
from .worker import Flight, Tokens, Worker

SYNC_S = 1.0  # a result is on the disk after this
CHECKPOINT_TOKENS = 32  # of an answer, that are saved together


class Sink(Protocol):
    """Where results go. What was put is safe when sync returns."""

    def put(self, position: int, key: bytes, line: bytes) -> None: ...

    def checkpoint(self, key: bytes, digest: bytes, start: int, ids: list[int]) -> None: ...

    def sync(self) -> None: ...


@dataclass(frozen=True)
class Tally:
    """How far a loop is. Results count when they are safe."""

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
        worker: Worker,
        sink: Sink,
        limit: Limit,
        run_digest: bytes,
        known_ids: Callable[[bytes, bytes], list[int]],
        stopped: Callable[[], bool],
        report: Callable[[Tally], None],
        sync_s: float = SYNC_S,
        checkpoint_tokens: int = CHECKPOINT_TOKENS,
    ):
        """run_digest: results carry it. known_ids: what a checkpoint holds of the answer to a key and a request's
        digest. report: called after every sync."""
        self._worker, self._sink, self._limit, self._run_digest = worker, sink, limit, run_digest
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
            while not self._stopped() and (self._worker.flights or not window.is_empty):
                more = self._admit(window)
                idle = not more and self._worker.flights
                for flight, ended in self._worker.wait(self._left_s() if idle else 0.0):
                    if ended:
                        self._land(flight)
                    else:
                        window.computed(flight.job)
                if self._left_s() <= 0:
                    self._sync(self._checkpoint_tokens)
        finally:
            self._worker.cancel()
        self._sync(checkpoint_tokens=1)

    def _left_s(self) -> float:
        return self._synced_at + self._sync_s - time.monotonic()

    def _admit(self, window: Window) -> bool:
        """Starts what may be started. True: there is more to read at once."""
        for position, rejected in window.fill():
            self._put_failure(position, rejected, rejected.why)
            self._reached = replace(self._reached, failed=self._reached.failed + 1)
        while len(self._worker.flights) < self._limit.target:
            entry = window.take([f.job.prefix for f in self._worker.flights if not f.begun])
            if entry is None:
                break
            position, job = entry
            self._worker.start(position, job, self._known_ids(job.key, job.digest))
        return not window.has_jobs and not window.is_empty

    def _land(self, flight: Flight) -> None:
        """A flight ended."""
        job, reached = flight.job, self._reached
        if flight.error is not None:
            self._sync(self._checkpoint_tokens)
            raise flight.error
        if flight.failure is not None:
            self._put_failure(flight.position, job, flight.failure)
            self._reached = replace(reached, failed=reached.failed + 1)
        else:
            digests = Digests(job.digest, self._run_digest)
            self._sink.put(flight.position, job.key, success(job.key, job.custom_id, flight.body, digests))
            is_cut, is_empty = was_cut(flight.body)
            self._reached = replace(
                reached,
                completed=reached.completed + 1,
                num_cut=reached.num_cut + is_cut,
                num_cut_empty=reached.num_cut_empty + is_empty,
                tokens=reached.tokens + flight.tokens,
            )

    def _put_failure(self, position: int, item: Job | Rejected, why: Failure) -> None:
        digests = Digests(item.digest, self._run_digest)
        self._sink.put(position, item.key, failure(item.key, item.custom_id, why, digests))

    def _sync(self, checkpoint_tokens: int) -> None:
        for flight in self._worker.flights:
            self._save(flight, checkpoint_tokens)
        self._sink.sync()
        self._synced_at = time.monotonic()
        flights = self._worker.flights
        self._limit.observe(self._synced_at, self._worker.num_generated, sum(f.begun for f in flights))
        self.tally = replace(
            self._reached,
            num_generated=self._worker.num_generated,
            num_running=len(flights),
            limit=self._limit.target,
        )
        self._report(self.tally)

    def _save(self, flight: Flight, checkpoint_tokens: int) -> None:
        """Puts new ids into a checkpoint: all but the last, which may be the answer's end."""
        answer, num_safe = flight.answer, len(flight.ids) - 1
        if answer is not None and answer.resumable and num_safe >= flight.num_saved + checkpoint_tokens:
            job, ids = flight.job, flight.ids[flight.num_saved : num_safe]
            self._sink.checkpoint(job.key, job.digest, flight.num_saved, ids)
            flight.num_saved = num_safe
