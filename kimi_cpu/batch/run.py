"""One run over files: input, output and journal put together with a model's loop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, Interrupted, shown
from .index import Index
from .journal import Journal
from .limit import Limit
from .loop import Loop, Tally
from .output import Output, ResultFile
from .results import Failure, is_success, key_of_line
from .source import Job, Rejected, Shard, check_readable, read
from .window import Entry
from .worker import Model, Worker

MAX_PARALLEL = 128  # sequences, unless the caller says more


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a run is done. parallel: sequences at once; None: measured, up to MAX_PARALLEL."""

    resume: bool = True
    text: bool = False
    ordered: bool = False
    shard: Shard = Shard()
    parallel: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is. num_found: results of runs before, num_found_failed of them failures; tally: this run's."""

    num_found: int
    num_found_failed: int
    tally: Tally
    num_lines: int  # of the input, read so far; a shard's own only
    read_bytes: int
    input_bytes: int
    seconds: float

    @property
    def num_done(self) -> int:
        """Results, of this run and those before."""
        return self.num_found + self.tally.completed + self.tally.failed

    @property
    def num_failed(self) -> int:
        """Those of them that are failures."""
        return self.num_found_failed + self.tally.failed

    @property
    def num_expected(self) -> int:
        """Lines of the input; those that are still unread by the length of those that were read."""
        return round(self.num_lines * self.input_bytes / self.read_bytes) if self.read_bytes else 0

    def as_dict(self) -> dict:
        """The summary of a run: what the output holds, and what this run added to it."""
        tokens, seconds = self.tally.tokens, self.seconds
        return {
            "results": self.num_done,
            "failed": self.num_failed,
            "cut_off": self.tally.num_cut,
            "found": self.num_found,
            "lines_read": self.num_lines,
            "prompt_tokens": tokens.prompt,
            "cached_tokens": tokens.cached,
            "completion_tokens": tokens.completion,
            "generated_tokens": self.tally.num_generated,
            "generated_tokens_per_second": round(self.tally.num_generated / seconds, 3) if seconds else 0.0,
            "parallel": self.tally.limit,
            "seconds": round(seconds, 3),
        }


class Run:
    """A batch from one file to another. `stop` may be called at any time, also by a signal handler."""

    def __init__(self, model: Model, source: Path, output: Path, options: BatchOptions):
        """ConfigError: source and output are the same file, or the source is no text."""
        if output.exists() and source.exists() and output.samefile(source):
            raise ConfigError(f"{output} is the input; name another file for the output.")
        if source.is_file():  # what is read from a pipe is gone
            check_readable(source, options.text)
        self._source, self._path, self._options = source, output, options
        self._model, self._worker = model, Worker(model)
        self._limit = Limit(options.parallel or MAX_PARALLEL, fixed=options.parallel is not None)
        self._num_found = self._num_found_failed = self._num_lines = self._read_bytes = 0
        self._input_bytes = source.stat().st_size
        self._next_position = 0
        self._stopped = False

    def stop(self) -> None:
        """Saves unfinished answers and lets run() return."""
        self._stopped = True
        self._worker.wake()

    def run(self, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Answers what has no result yet. report is called every second.

        ConfigError: the output is of another run, or another process writes it. OutOfDisk. What the model raises.
        """
        started = time.monotonic()
        journal_path = self._path.with_name(self._path.name + ".journal")
        file = ResultFile(self._path)
        journal = Journal(journal_path, self._identity(), fresh=not self._options.resume)
        index = Index()
        try:
            if self._options.resume:
                self._recover(file, journal, index)
            else:
                file.clear()
            journal.commit(file.size)
            output = Output(file, journal, self._options.ordered)
            loop = Loop(
                self._worker,
                output,
                self._limit,
                journal.tokens,
                lambda: self._stopped,
                lambda tally: report(self._progress(tally, started)),
            )
            loop.run(self._entries(index, output, journal))
        finally:
            self._worker.join()
            file.close()
            journal.close()
            index.close()
        if not self._stopped:
            Journal.remove(journal_path)
        return self._progress(loop.tally, started)

    def _identity(self) -> dict[str, str | int]:
        o = self._options
        shard = f"{o.shard.index or o.shard.num_shards}/{o.shard.num_shards}"
        return {"format": 1, "text": int(o.text), "ordered": int(o.ordered), "shard": shard, **self._model.identity}

    def _recover(self, file: ResultFile, journal: Journal, index: Index) -> None:
        """Finds the results that are there."""
        found = file.recover(journal.synced_bytes)

        def keys() -> Iterator[bytes]:
            for key, is_answer in found:
                if self._stopped:
                    raise Interrupted("Stopped before anything was done.")
                self._num_found += 1
                self._num_found_failed += not is_answer
                yield key

        index.add_finished(keys())
        written = [key for key in journal.held_keys() if key in index]
        journal.forget_held(written)  # the machine went down between the two
        journal.forget_positions()

    def _entries(self, index: Index, output: Output, journal: Journal) -> Iterator[Entry]:
        """What is to be done, line by line of the input."""
        for item in read(self._source, self._options.text):
            self._read_bytes = item.line.end
            mine = self._options.shard.holds(item.key)
            self._num_lines += mine
            item = self._unanswered(item, index) if mine else None
            if item is None:
                yield None
                continue
            position = self._next_position
            self._next_position += 1
            waiting = journal.held(item.key) if self._options.ordered else None
            if waiting is None:
                yield position, item
                continue
            output.place(position, item.key)
            self._num_found += 1
            self._num_found_failed += not is_success(waiting)
            yield None

    def _unanswered(self, item: Job | Rejected, index: Index) -> Job | Rejected | None:
        """The item if it has no result yet; a second one with its custom_id is rejected."""
        finished, again = index.read(item.key)
        if again:
            message = f"custom_id {shown(item.custom_id)} of line {item.line.number} stands on an earlier line, too."
            why = Failure(message, "duplicate_custom_id", "custom_id")
            item = Rejected(key_of_line(item.line.number), item.custom_id, why, item.line)
            finished, _ = index.read(item.key)
        return None if finished else item

    def _progress(self, tally: Tally, started: float) -> Progress:
        return Progress(
            self._num_found,
            self._num_found_failed,
            tally,
            self._num_lines,
            self._read_bytes,
            self._input_bytes,
            time.monotonic() - started,
        )
