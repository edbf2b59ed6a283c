"""One run over files: input, output and journal put together with a loop over models."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import ConfigError, Interrupted, shown
from ..files import check_replaceable, open_output, output_path
from .loop import Loop, Tally
from .model import Model
from .output import Journal, Output, ResultFile, ResultStream, is_result_file
from .pacing import Limit
from .pool import Pool
from .results import Failure, Index, digest_of_run, digests_of_result, is_success, key_of_line
from .source import Entry, Job, Rejected, Shard, check_readable, read

MAX_PARALLEL = 128  # sequences of a model, unless the caller says more


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Options of a run. parallel: sequences at once on each model; None: measured, up to MAX_PARALLEL."""

    resume: bool = True
    text: bool = False
    ordered: bool = False
    shard: Shard = Shard()
    parallel: int | None = None


@dataclass(frozen=True)
class Progress:
    """Progress of a run. num_found: results of runs before, num_found_failed of them failures; tally: this run's."""

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

    def __init__(
        self, models: Sequence[Model], source: Path, output: Path | None, options: BatchOptions, lasting: bool = False
    ):
        """models: one or more that answer alike. output: None streams results to stdout, without a journal. lasting: a
        run that has lost its models waits for `add` to bring another. ConfigError: the models differ, the output is the
        source or no file that may be written, or the source is no text."""
        self._path = None if output is None else output_path(output, [source])
        if source.is_file():  # what is read from a pipe is gone
            check_readable(source, options.text)
        self._source, self._options = source, options
        self._identity = models[0].identity
        new_limit = partial(Limit, options.parallel or MAX_PARALLEL, fixed=options.parallel is not None)
        self._pool = Pool(models, new_limit, lasting)
        self._num_found = self._num_found_failed = self._num_lines = self._read_bytes = 0
        self._input_bytes = source.stat().st_size
        self._next_position = 0
        self._stopped = False
        self._run_digest = digest_of_run(self._identity)
        self.warnings: list[str] = []

    def stop(self) -> None:
        """Saves unfinished answers and lets run() return."""
        self._stopped = True
        self._pool.wake()

    def add(self, model: Model) -> None:
        """Takes one more model, or one that was lost and is back; from any thread. ConfigError: it is another."""
        self._pool.add(model)

    def fail(self, error: Exception) -> None:
        """Lets run() raise an error, with all results safe; from any thread."""
        self._pool.fail(error)

    def run(self, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Answers what has no result yet. report is called every second.

        ConfigError: the output is of another run, or another process writes it. OutOfDisk. What the model raises.
        """
        started, journal_path = time.monotonic(), None
        if self._path is not None:
            journal_path = self._path.with_name(self._path.name + ".journal")
        is_new = journal_path is None or not journal_path.exists()
        with ExitStack() as stack:
            file = stack.enter_context(closing(self._results()))
            journal = stack.enter_context(closing(self._journal(journal_path)))
            index = stack.enter_context(closing(Index()))
            output = Output(file, journal, self._options.ordered)
            loop = Loop(
                self._pool,
                output,
                self._run_digest,
                journal.tokens,
                lambda: self._stopped,
                lambda tally: report(self._progress(tally, started)),
            )
            try:
                self._begin(file, journal, index)
                loop.run(self._entries(index, output, journal))
            except ConfigError:  # refused: leave nothing behind
                if is_new and journal.is_empty and not loop.tally.completed + loop.tally.failed:
                    stack.callback(Journal.remove, journal_path)
                raise
        if not self._stopped:
            Journal.remove(journal_path)
        return self._progress(loop.tally, started)

    def _results(self) -> ResultFile | ResultStream:
        """The file or stream that takes results."""
        if self._path is None:
            return ResultStream(sys.stdout.buffer)
        if not self._options.resume:
            check_replaceable(self._path, "result of kimi-cpu batch", is_result_file, force=True)
        return ResultFile(self._path)

    def _journal(self, path: Path | None) -> Journal:
        if path is not None and not path.exists():
            os.close(open_output(path, private=True))
        return Journal(path, self._conditions(), fresh=not self._options.resume)

    def _begin(self, file: ResultFile | ResultStream, journal: Journal, index: Index) -> None:
        """Finds the results that are there, or forgets them."""
        if isinstance(file, ResultFile):
            if self._options.resume:
                self._recover(file, journal, index)
            else:
                file.clear()
        journal.commit(file.size)

    def _conditions(self) -> dict[str, str | int]:
        """Values that must be equal for the run to be continued."""
        o = self._options
        shard = f"{o.shard.index or o.shard.num_shards}/{o.shard.num_shards}"
        return {"format": 1, "text": int(o.text), "ordered": int(o.ordered), "shard": shard, **self._identity}

    def _recover(self, file: ResultFile, journal: Journal, index: Index) -> None:
        """Finds the results that are there."""
        found, num_unnamed = file.recover(journal.synced_bytes), 0

        def finished() -> Iterator[tuple[bytes, bytes | None]]:
            nonlocal num_unnamed
            for key, is_answer, digests in found:
                if self._stopped:
                    raise Interrupted("Stopped before anything was done.")
                if digests is not None and digests.run != self._run_digest:
                    raise ConfigError(
                        f"{self._path} holds results of another model, or of other options of sampling or loading. "
                        f"Run with the same, name another output, or answer all anew with --no-resume."
                    )
                self._num_found += 1
                self._num_found_failed += not is_answer
                num_unnamed += digests is None
                yield key, digests and digests.request

        index.add_finished(finished())
        if num_unnamed:
            self._take_unnamed(f"{num_unnamed:,} results in {self._path} do")
        if journal.is_old:
            self._take_unnamed(f"The unfinished answers in {journal.path} do")
        written = [key for key in journal.held_keys() if key in index]
        journal.forget_held(written)  # the machine went down between the two
        journal.forget_positions()

    def _take_unnamed(self, what: str) -> None:
        self.warnings.append(
            f"{what} not say what was asked, because an earlier version wrote them; they are taken as they are."
        )

    def _entries(self, index: Index, output: Output, journal: Journal) -> Iterator[Entry]:
        """The entries of the loop, one for each line of the input."""
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
            digests = digests_of_result(waiting)
            self._check_unchanged(item, digests and digests.request)
            output.place(position, item.key)
            self._num_found += 1
            self._num_found_failed += not is_success(waiting)
            yield None

    def _unanswered(self, item: Job | Rejected, index: Index) -> Job | Rejected | None:
        """The item if it has no result yet; a second one with its custom_id is rejected."""
        found = index.read(item.key)
        if found.again:
            message = f"custom_id {shown(item.custom_id)} of line {item.line.number} stands on an earlier line, too."
            why = Failure(message, "duplicate_custom_id", "custom_id")
            item = Rejected(key_of_line(item.line.number), item.custom_id, why, item.line)
            found = index.read(item.key)
        if not found.finished:
            return item
        self._check_unchanged(item, found.digest)
        return None

    def _check_unchanged(self, item: Job | Rejected, answered: bytes | None) -> None:
        """ConfigError unless the result that is there, to a request of the digest `answered`, is one to the item."""
        if answered not in (None, item.digest):
            raise ConfigError(
                f"Line {item.line.number} asks something else than {self._path} answers under the same custom_id or "
                "number. Name another output, or answer all anew with --no-resume."
            )

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
