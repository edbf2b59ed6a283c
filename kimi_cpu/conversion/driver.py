"""Makes the file of a blueprint: reads, packs, hashes and writes at the same time, so that the disk is the limit.

A worker packs a part of a unit, and hashes it while another thread writes it; meanwhile the system reads what is next.
The output grows under OUT.partial beside OUT.journal, and survives kill -9; the name OUT appears when the file is whole
and synced.
"""

import errno
import os
import queue
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CheckpointError, ConfigError, Interrupted, KimiError, ModelFileError, OutOfDisk
from ..files import check_replaceable, output_path, sync_directory
from ..modelfile import ModelFile
from ..modelfile.header import read_gguf
from ..modelfile.layout import EXPERTS_SUFFIX
from ..tokenizer import tokenizer_of
from . import native, standard
from .blueprint import Blueprint, DropBehind, Part, ReadAhead, Unit, num_workers, place
from .checkpoint import open_source
from .journal import Journal, OutputFile, forget, is_journal, keep_synced
from .source import SOURCE, Source

SYNC_BYTES = 1 << 30  # the output is synced, and the journal says so, after so many bytes
PARTS_AHEAD = 8  # that the system reads for each worker, 8 to 32 MiB
REPLACEABLE = "whole model file of kimi-cpu"
Progress = Callable[[int, int, str], None]


def run(
    source_path: Path,
    out: Path,
    dense: str,
    layout: str,
    resume: bool,
    jobs: int | None,
    progress: Progress | None,
    force: bool,
) -> list[str]:
    """See conversion.convert."""
    draw = chosen_layout(layout, dense)
    out = _find_target(out, source_path)
    with open_source(source_path) as source:
        blueprint = draw(source)
        conversion = _Conversion(source, blueprint, out, num_workers(jobs), progress)
        if resume and not force and conversion.is_finished():
            return [*blueprint.warnings, f"{out} was finished before; nothing is left to do."]
        _check_target(out, source, force)
        conversion.run(resume)
        return blueprint.warnings


def chosen_layout(layout: str, dense: str) -> Callable[[Source], Blueprint]:
    """Draws the blueprint of a source. ConfigError: there is no such layout, or type of dense matrices."""
    if dense not in native.DENSE_KINDS:
        raise ConfigError(f"dense is {dense!r}; it must be one of {', '.join(native.DENSE_KINDS)}.")
    if layout == "native":
        return partial(native.blueprint, dense=dense)
    if layout == "standard":
        return partial(standard.blueprint, dense=dense)
    raise ConfigError(f"layout is {layout!r}; it must be native or standard.")


def _find_target(out: Path, source: Path) -> Path:
    """The path of the output, links followed. ConfigError, OSError: nothing can be written there, because it is no
    regular file, an input, or of another program, or because what stands beside it is."""
    inputs = [source, *(source.iterdir() if source.is_dir() else ())]
    target = output_path(out, inputs)
    check_replaceable(target, REPLACEABLE, lambda path: provenance_of(path) is not None, force=True)
    journal = target.with_name(target.name + ".journal")
    partial = target.with_name(target.name + ".partial")
    if journal.exists() and not is_journal(journal):
        raise ConfigError(f"{journal} is no journal of a conversion; move it away, or name another output.")
    if partial.exists() and partial.stat().st_size and not journal.exists():
        raise ConfigError(f"{partial} is of no known conversion; move it away, or name another output.")
    return target


def _check_target(target: Path, source: Source, force: bool) -> None:
    """ConfigError: the target is a file of the source, or a model file that is not to be replaced."""
    output_path(target, source.maps)
    made_from = provenance_of(target) if target.exists() else None
    if made_from is not None and not force and made_from == source.provenance:
        raise ConfigError(
            f"{target} is a finished conversion of {source.path} already; --force (force=True) makes it anew."
        )
    check_replaceable(target, REPLACEABLE, lambda _: made_from is not None, force, "--force (force=True)")


def provenance_of(path: Path) -> str | None:
    """The provenance that a model file states; None: it is none of ours."""
    try:
        made_from = read_gguf(path).metadata.get(SOURCE)
    except (KimiError, OSError):
        return None
    return made_from if isinstance(made_from, str) else None


class _Shared(NamedTuple):
    """All that the workers share. todo: units by number; results: (unit, bytes done) or an exception."""

    file: OutputFile
    journal: Journal
    ahead: ReadAhead
    behind: DropBehind
    writers: ThreadPoolExecutor
    todo: queue.SimpleQueue
    results: queue.SimpleQueue
    stop: threading.Event
    first: list[int]  # number of each unit's first part, counted through all of them


class _Conversion:
    """One blueprint on its way to one file."""

    def __init__(self, source: Source, blueprint: Blueprint, out: Path, num_workers: int, progress: Progress | None):
        self.source, self.out, self.num_workers, self.progress = source, out, num_workers, progress
        self.partial = out.with_name(out.name + ".partial")
        self.journal = out.with_name(out.name + ".journal")
        placement = place(blueprint)
        self.hashed, self.tensors, self.head = placement.hashed, placement.tensors, placement.head
        self.size = placement.size
        self._check_head()
        self.units: list[tuple[int, Unit]] = [
            (at + unit.offset, unit)
            for at, tensor in zip(placement.offsets, placement.tensors, strict=True)
            for unit in tensor.units
        ]
        self.hash_offset = placement.offsets[-1]
        self.num_done = 0  # bytes

    def _check_head(self) -> None:
        """CheckpointError, before anything is written, if the reader would not take the file."""
        try:
            file = ModelFile.to_be(self.out, self.head, self.size)
            if self.hashed:
                file.require_table()
                file.described_config()
        except ModelFileError as e:
            raise CheckpointError(f"{self.source.path}: what would be made of it does not load ({e})") from e

    def _check_file(self) -> None:
        """ModelFileError unless the finished file is one that loads."""
        with ModelFile.open(self.partial) as file:
            if self.hashed:
                _ = file.config, tokenizer_of(file)

    def is_finished(self) -> bool:
        """Whether the output is what this conversion makes. A journal that was left beside it goes."""
        if not self.out.exists() or self.out.stat().st_size != self.size:
            return False
        with self.out.open("rb") as file:
            finished = file.read(len(self.head)) == self.head
        if finished and not self.partial.exists():
            self.journal.unlink(missing_ok=True)
        return finished

    def run(self, resume: bool) -> None:
        """Writes the file. Nothing has its name before it is whole; what was done before is kept if it is of use."""
        self._check_space()
        resume = resume and self.partial.exists() and self.partial.stat().st_size == self.size
        with OutputFile(self.partial) as file:
            self._reserve(file, resume)
            try:
                with Journal(self.journal, self._key(), resume) as journal:
                    self._write(file, journal, resume)
            except KeyboardInterrupt:
                raise Interrupted(f"{self.out}: interrupted; the same command with --resume goes on.") from None
            except OSError as e:
                self._keep(file)
                raise OutOfDisk(
                    f"{self.out}: {_reason(e)}, {self.size / 1e9:.1f} GB are needed in all; make room and go on with "
                    f"--resume, or delete {self.partial.name} and {self.journal.name}."
                ) from e
            except Interrupted:
                raise
            except KimiError:  # the source cannot be converted
                self._forget()
                raise
        self.journal.unlink()

    def _reserve(self, file: OutputFile, resume: bool) -> None:
        """Takes the space on the disk, before the parts are listed, which lasts seconds."""
        try:
            if not resume:
                forget(self.journal)  # before what it speaks of goes
            file.resize(self.size, keep=resume)
        except OSError as e:
            if not resume:
                self._forget()
            raise OutOfDisk(f"{self.out}: {_reason(e)}, {self.size / 1e9:.1f} GB are needed; make room.") from e

    def _keep(self, file: OutputFile) -> None:
        """Lets the journal say no more than what is on the disk."""
        with suppress(OSError):
            if not file.has_lost:
                file.sync()
        if file.has_lost:
            keep_synced(self.journal)

    def _forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def _write(self, file: OutputFile, journal: Journal, resume: bool) -> None:
        """Fills the partial file and gives it its name."""
        if resume and not journal.resumed:
            file.resize(self.size, keep=False)  # gaps between tensors must be zeros
        file.write(0, np.frombuffer(self.head, np.uint8))
        self._fill(file, journal)
        if self.hashed:
            self._write_hashes(file, journal)
        file.sync()
        self._check_file()
        os.replace(self.partial, self.out)
        sync_directory(self.out.parent)

    def _key(self) -> str:
        """Names this conversion: the bytes of the header, and how the rest is cut into parts."""
        digest = sha256(self.head)
        for start, unit in self.units:
            digest.update(repr((start, [(part.offset, part.nbytes) for part in unit.parts])).encode())
        return digest.hexdigest()

    def _fill(self, file: OutputFile, journal: Journal) -> None:
        """Packs, hashes and writes all units; this thread syncs now and then and reports progress."""
        total = sum(unit.nbytes for _, unit in self.units)
        todo: queue.SimpleQueue = queue.SimpleQueue()
        parts: list[Part] = []
        for number, (_, unit) in enumerate(self.units):
            if number in journal.hashes:
                self.num_done += unit.nbytes
            else:
                todo.put(number)
            parts.extend(unit.parts)
        results: queue.SimpleQueue = queue.SimpleQueue()
        stop = threading.Event()
        first = [0, *accumulate(len(unit.parts) for _, unit in self.units)]
        ahead = ReadAhead(self.source, parts, PARTS_AHEAD * self.num_workers)
        with ThreadPoolExecutor(self.num_workers) as writers:
            shared = _Shared(file, journal, ahead, DropBehind(self.source), writers, todo, results, stop, first)
            workers = [
                threading.Thread(target=self._run_worker, args=(shared,), daemon=True) for _ in range(self.num_workers)
            ]
            for worker in workers:
                worker.start()
            try:
                self._collect(file, journal, results, total)
            finally:
                stop.set()
                for worker in workers:
                    worker.join()

    def _collect(self, file: OutputFile, journal: Journal, results: queue.SimpleQueue, total: int) -> None:
        unsynced = 0
        while self.num_done < total:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            number, nbytes = result
            self.num_done += nbytes
            unsynced += nbytes
            if unsynced >= SYNC_BYTES:
                journal.sync(file)
                unsynced = 0
            if self.progress is not None:
                self.progress(self.num_done, total, self.units[number][1].name)

    def _run_worker(self, shared: _Shared) -> None:
        """One worker: units from `todo` until there are no more. The journal says what it has written."""
        try:
            while not shared.stop.is_set():
                self._make_unit(shared, shared.todo.get_nowait())
        except queue.Empty:
            pass
        except BaseException as e:
            shared.results.put(e)

    def _make_unit(self, shared: _Shared, number: int) -> None:
        """Makes one unit and notes its hash in the journal. Results tell of each part, of the last with the unit."""
        _, unit = self.units[number]
        digest, at = sha256(), 0
        for index, part in enumerate(unit.parts):
            if shared.stop.is_set():
                return
            digest.update(bytes(part.offset - at))
            self._make_part(shared, number, index, digest)
            at = part.offset + part.nbytes
            if index < len(unit.parts) - 1:
                shared.results.put((number, part.nbytes))
        digest.update(bytes(unit.nbytes - at))
        shared.journal.unit(number, digest.digest())
        shared.results.put((number, unit.nbytes - sum(part.nbytes for part in unit.parts[:-1])))

    def _make_part(self, shared: _Shared, number: int, index: int, digest) -> None:
        """Packs one part into the file and the hash. A part that is done already is read back for the hash."""
        start, unit = self.units[number]
        part = unit.parts[index]
        if (number, index) in shared.journal.done:
            digest.update(shared.file.read(start + part.offset, part.nbytes))
            return
        shared.ahead.at(shared.first[number] + index)
        data = part.pack()
        shared.behind.done(part)
        assert data.nbytes == part.nbytes, "a part has the size that the blueprint says"
        writing = shared.writers.submit(shared.file.write, start + part.offset, data)
        digest.update(data)
        writing.result()
        shared.journal.part(number, index)

    def _write_hashes(self, file: OutputFile, journal: Journal) -> None:
        """Writes the last tensor: see modelfile.hash_rows."""
        rows, number = [sha256(self.head).digest()], 0
        for tensor in self.tensors[:-1]:
            digests = [journal.hashes[number + i] for i in range(len(tensor.units))]
            number += len(digests)
            rows.extend(digests)
            if tensor.spec.name.endswith(EXPERTS_SUFFIX):
                rows.append(sha256(b"".join(digests)).digest())
        rows.append(sha256(b"".join(rows)).digest())
        file.write(self.hash_offset, np.frombuffer(b"".join(rows), np.uint8))

    def _check_space(self) -> None:
        folder = self.out.parent
        have = shutil.disk_usage(folder).free
        if self.partial.exists():
            have += self.partial.stat().st_blocks * 512
        if have < self.size:
            raise OutOfDisk(
                f"{self.out}: {self.size / 1e9:.1f} GB are needed and {have / 1e9:.1f} GB are free in {folder}. "
                "Make room or choose another folder."
            )


def _reason(error: OSError) -> str:
    """Why a disk does not take a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if error.errno == errno.EFBIG:
        return "the file system, or a limit (ulimit -f), takes no file of this size"
    return error.strerror or str(error)
