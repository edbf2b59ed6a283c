"""Runs a plan: packs, hashes and writes on several threads, so that the disk is the limit, and survives being killed.

The output grows under OUT.partial beside OUT.journal; the name OUT appears when the file is whole and synced.
"""

import contextlib
import errno
import os
import queue
import shutil
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil

from ..errors import ConfigError, Interrupted, OutOfDisk
from ..modelfile import HASHES, TensorSpec, hash_rows, header_bytes
from . import native
from .jobs import Output, Part, Plan, Unit
from .journal import Journal
from .source import open_source

SYNC_BYTES = 1 << 30  # the output is synced, and the journal says so, after so many bytes
Progress = Callable[[int, int, str], None]


def run(
    source_path: Path,
    out: Path,
    dense: str,
    layout: str,
    resume: bool,
    jobs: int | None,
    progress: Progress | None,
) -> list[str]:
    """See convert.convert."""
    if dense not in native.DENSE_KINDS:
        raise ConfigError(f"dense is {dense!r}; it must be one of {', '.join(native.DENSE_KINDS)}.")
    with open_source(source_path) as source:
        plan = _plan_of(source, layout, dense)
        conversion = _Conversion(plan, out, jobs or psutil.cpu_count(logical=False) or 1, progress)
        conversion.run(resume)
        return plan.warnings


def _plan_of(source, layout: str, dense: str) -> Plan:
    if layout == "native":
        return native.plan(source, dense)
    if layout == "standard":
        from . import standard

        return standard.plan(source, dense)
    raise ConfigError(f"layout is {layout!r}; it must be native or standard.")


class _Conversion:
    """One plan on its way to one file."""

    def __init__(self, plan: Plan, out: Path, jobs: int, progress: Progress | None):
        self.out, self.jobs, self.progress = out, jobs, progress
        self.partial = out.with_name(out.name + ".partial")
        self.hashed = plan.architecture == native.ARCHITECTURE  # llama.cpp refuses tensors that it does not know
        self.outputs = [*plan.outputs, hash_output(plan.outputs)] if self.hashed else plan.outputs
        specs = [output.spec for output in self.outputs]
        self.head, offsets = header_bytes(plan.architecture, plan.metadata, specs)
        self.size = offsets[-1] + specs[-1].nbytes
        placed = [
            (at + unit.offset, unit) for at, output in zip(offsets, plan.outputs, strict=False) for unit in output.units
        ]
        self.units: list[tuple[int, Unit]] = placed
        self.hash_offset = offsets[-1]
        self.num_done = 0  # bytes

    def run(self, resume: bool) -> None:
        """Writes the file. On failure nothing is left; on an interruption partial file and journal are."""
        key = sha256(self.head).hexdigest()
        journal_path = self.out.with_name(self.out.name + ".journal")
        if not resume:
            self.partial.unlink(missing_ok=True)
        self._check_space()
        journal = Journal(journal_path, key, resume and self.partial.exists())
        descriptor = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not journal.resumed:
                os.ftruncate(descriptor, 0)  # gaps between tensors must be zeros
            os.ftruncate(descriptor, self.size)
            _write_at(descriptor, self.head, 0)
            self._fill(descriptor, journal)
            if self.hashed:
                self._write_hashes(descriptor, journal)
            os.fsync(descriptor)
            os.replace(self.partial, self.out)
            _sync_directory(self.out.parent)
            journal.remove()
        except KeyboardInterrupt:
            raise Interrupted(f"{self.out}: interrupted; the same command with --resume goes on.") from None
        except BaseException as e:
            journal.close()
            self.partial.unlink(missing_ok=True)
            journal_path.unlink(missing_ok=True)
            if isinstance(e, OSError) and e.errno == errno.ENOSPC:
                raise OutOfDisk(f"{self.out}: the disk is full; {self.size / 1e9:.1f} GB are needed in all.") from e
            raise
        finally:
            journal.close()
            os.close(descriptor)

    def _fill(self, descriptor: int, journal: Journal) -> None:
        """Packs, hashes and writes all units; this thread syncs now and then and reports progress."""
        total = sum(unit.nbytes for _, unit in self.units)
        todo: queue.SimpleQueue = queue.SimpleQueue()
        for number, (_, unit) in enumerate(self.units):
            if number in journal.hashes:
                self.num_done += unit.nbytes
            else:
                todo.put(number)
        results: queue.Queue = queue.Queue(maxsize=4 * self.jobs)
        stop = threading.Event()
        workers = [
            threading.Thread(target=self._work, args=(descriptor, journal, todo, results, stop), daemon=True)
            for _ in range(self.jobs)
        ]
        for worker in workers:
            worker.start()
        try:
            self._collect(descriptor, journal, results, total)
        finally:
            stop.set()
            while any(worker.is_alive() for worker in workers):
                _drain(results)
            for worker in workers:
                worker.join()

    def _collect(self, descriptor: int, journal: Journal, results: queue.Queue, total: int) -> None:
        unsynced = 0
        while self.num_done < total:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            number, nbytes = result
            self.num_done += nbytes
            unsynced += nbytes
            if unsynced >= SYNC_BYTES:
                journal.sync(descriptor)
                unsynced = 0
            if self.progress is not None:
                self.progress(self.num_done, total, self.units[number][1].name)

    def _work(self, descriptor: int, journal: Journal, todo, results: queue.Queue, stop: threading.Event) -> None:
        """One worker: units from `todo` until there are no more. What it has written, it says in the journal."""
        try:
            while not stop.is_set():
                number = todo.get_nowait()
                start, unit = self.units[number]
                digest, at = sha256(), 0
                for index, part in enumerate(unit.parts):
                    if stop.is_set():
                        return
                    done = (number, index) in journal.done
                    data = self._part(descriptor, start, part, done)
                    if not done:
                        journal.part(number, index)
                    digest.update(bytes(part.offset - at))
                    digest.update(data)
                    at = part.offset + part.nbytes
                    if index < len(unit.parts) - 1:
                        results.put((number, part.nbytes))
                digest.update(bytes(unit.nbytes - at))
                journal.unit(number, digest.digest())
                rest = unit.nbytes - sum(part.nbytes for part in unit.parts[:-1])
                results.put((number, rest))
        except queue.Empty:
            pass
        except BaseException as e:
            results.put(e)

    def _part(self, descriptor: int, start: int, part: Part, done: bool) -> np.ndarray | bytes:
        """Bytes of a part, which are in the file after; those of a part that is done are read back for the hash."""
        if done:
            return os.pread(descriptor, part.nbytes, start + part.offset)
        data = part.pack()
        assert data.nbytes == part.nbytes, "a part has the size that its plan says"
        _write_at(descriptor, memoryview(data), start + part.offset)
        return data

    def _write_hashes(self, descriptor: int, journal: Journal) -> None:
        """The last tensor: see modelfile.hash_rows."""
        rows, number = [sha256(self.head).digest()], 0
        for output in self.outputs[:-1]:
            digests = [journal.hashes[number + i] for i in range(len(output.units))]
            number += len(digests)
            rows.extend(digests)
            if output.spec.name.endswith(".ffn_exps.weight"):
                rows.append(sha256(b"".join(digests)).digest())
        rows.append(sha256(b"".join(rows)).digest())
        _write_at(descriptor, b"".join(rows), self.hash_offset)

    def _check_space(self) -> None:
        folder = self.out.parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
        have = shutil.disk_usage(folder).free
        if self.partial.exists():
            have += self.partial.stat().st_blocks * 512
        if have < self.size:
            raise OutOfDisk(
                f"{self.out}: {self.size / 1e9:.1f} GB are needed and {have / 1e9:.1f} GB are free in {folder}. "
                "Make room or choose another folder."
            )


def hash_output(outputs: list[Output]) -> Output:
    """The tensor that holds the SHA-256s of all others."""
    num_rows = len(hash_rows((o.spec.name, o.spec.shape) for o in outputs)) + 1
    return Output(TensorSpec(HASHES, "I8", (num_rows, 32), 32 * num_rows), ())


def _write_at(descriptor: int, data, offset: int) -> None:
    """os.pwrite until all is written. data: contiguous bytes."""
    view = memoryview(data).cast("B")
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _drain(results: queue.Queue) -> None:
    """Takes what waits, so that a worker that puts can end."""
    with contextlib.suppress(queue.Empty):
        results.get(timeout=0.05)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
