"""Proves a model file: its own hashes, and on request its equality with the checkpoint that it was made from.

The file is read once, streaming, several units at a time; against a checkpoint the same bytes are compared too. Of a
part, which one stage of a model has, the tensors that are there are proved, and that it holds no others.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CheckpointError, Interrupted, ModelFileError
from ..files import open_regular
from ..modelfile import HASHES, ModelFile, TensorInfo
from ..modelfile.layout import EXPERTS_SUFFIX, HashRow, aligned
from ..quant.rows16 import BLOCK_BYTES, ROWS, packed_bytes
from ..tokenizer import tokenizer_of
from .against import Against, ClassError, Finding, open_against
from .blueprint import num_workers

MAX_HASHES_BYTES = 1 << 20  # how far back the hashes are looked for in a corrupt file; those of Kimi K2 have 0.8 MB
NUM_NAMED = 5  # mismatches that an error names
PIECE_BYTES = 1 << 20
GAP = "gap"  # zeros after the last matrix of an expert
MAX_WEIGHT = 2.0**60  # its square is within f32; weights of models are below 2^14
MAX_BITS = 0x5D80  # MAX_WEIGHT as bf16
Piece = tuple[int, int, str | None]  # first byte, bytes, packed kind, F32, or GAP; None: bytes that are no weights
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Report:
    """The result of a proof; a failed check is an exception. layers: those that are there, of num_layers. nbytes: of
    the file, or of what a part has of it. errors: the largest of each class of requantised ones."""

    path: Path
    against: Path | None
    layers: range
    num_layers: int
    num_tensors: int
    num_experts: int
    nbytes: int
    int4_values: int = 0  # equal to the checkpoint's, bit for bit, and
    scales: int = 0  # so many of their bf16 scales
    float_values: int = 0  # norms, routers and bf16 matrices that are equal
    errors: dict[str, ClassError] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class _Item(NamedTuple):
    """Bytes of the file that have a SHA-256 of their own."""

    row: HashRow
    offset: int
    nbytes: int
    digest: bytes
    pieces: tuple[Piece, ...]


def verify(
    path: str | Path,
    against: str | Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Checks a native model file. against: the checkpoint (directory or GGUF file) that it must be equal to.

    jobs: threads, default one a core. progress(bytes_done, bytes_total, tensor) is called from this thread.
    Raises ModelFileError naming the header, the tensors and experts that are damaged or hold NaN or infinity;
    CheckpointError naming the checkpoint's tensors that differ from a file whose hashes hold; ConfigError; OSError.
    """
    path = Path(path)
    with ExitStack() as stack:
        model = stack.enter_context(_open(path))
        _ = model.config  # what loading refuses, right hashes or not, and below the tokenizer
        _check_padding(model)
        comparison = None if against is None else stack.enter_context(open_against(model, Path(against)))
        there = _tensors_there(model)
        items = [item for item in _items(model) if item.row.name in there]
        findings = _run(path, items, comparison, num_workers(jobs), progress)
        report = _report(model, there, comparison, items, findings)
        tokenizer_of(model)
        return report


def _open(path: Path) -> ModelFile:
    """The file, whose header and hashes are proved. ModelFileError says which of the two is damaged."""
    try:
        model = ModelFile.open(path)
        model.require_version()
        model.require_table()
    except ModelFileError as e:
        if path.is_file() and _hashes_hold_at_end(path):
            raise ModelFileError(f"{path}: the header is corrupt ({e})") from e
        raise
    hashes = model.view(HASHES).tobytes()
    intact = sha256(hashes[:-32]).digest() == hashes[-32:]
    if not intact and not _hashes_hold_at_end(path):
        raise ModelFileError(f"{path}: tensor {HASHES} is corrupt; copy the file again, or convert again.")
    if not intact or not model.header_is_intact():
        raise ModelFileError(f"{path}: the header does not match its SHA-256; copy the file again, or convert again.")
    return model


def _hashes_hold_at_end(path: Path) -> bool:
    """Whether the file ends with hashes that their own last row confirms: if so, what is damaged is before them."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(aligned(max(0, size - MAX_HASHES_BYTES)))
            tail = file.read()
    except OSError:
        return False
    starts = range(aligned(max(0, len(tail) - 64)), -1, -aligned(1))
    return any(
        len(tail) - start >= 64 and sha256(memoryview(tail)[start:-32]).digest() == tail[-32:] for start in starts
    )


def _check_padding(model: ModelFile) -> None:
    tensors = list(model.tensors.values())
    with model.path.open("rb") as file:
        for tensor, following in zip(tensors, tensors[1:], strict=False):
            end = tensor.offset + tensor.nbytes
            file.seek(end)
            if any(file.read(following.offset - end)):
                raise ModelFileError(
                    f"{model.path}: the padding after tensor {tensor.name} is not zero; copy the file again."
                )


def _tensors_there(model: ModelFile) -> dict[str, TensorInfo]:
    """The tensors that a file should have: all, unless it is a part, with zeros instead of other layers."""
    own = model.own_tensors()
    with open_regular(model.path) as file:
        for name, tensor in model.tensors.items():
            if name not in own and not _is_empty(file.fileno(), tensor.offset, tensor.offset + tensor.nbytes):
                return model.tensors
    return own


def _is_empty(descriptor: int, begin: int, end: int) -> bool:
    """Whether the bytes [begin, end) of a file are zeros. Its holes are not read."""
    while begin < end:
        try:
            begin = os.lseek(descriptor, begin, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:  # there is only a hole
                return True
            raise
        data = os.pread(descriptor, max(0, min(PIECE_BYTES, end - begin)), begin)
        if np.frombuffer(data, np.uint8).any():
            return False
        begin += PIECE_BYTES
    return True


def _items(model: ModelFile) -> Iterator[_Item]:
    """Every tensor and every expert, in file order. ModelFileError: hashes that contradict one another."""
    experts, parts = [], ()
    for row, digest in model.hash_rows()[1:]:
        tensor = model.tensors[row.name]
        if row.expert is not None:
            stride = tensor.nbytes // tensor.shape[0]
            experts.append(digest)
            parts = parts or tuple(_pieces(model, row.name, stride))
            yield _Item(row, tensor.offset + row.expert * stride, stride, digest, parts)
        elif row.name.endswith(EXPERTS_SUFFIX):
            if sha256(b"".join(experts)).digest() != digest:
                raise ModelFileError(f"{model.path}: the hash of {row} is not that of its experts; convert again.")
            experts, parts = [], ()
        else:
            whole = tuple(_pieces(model, row.name, tensor.nbytes))
            yield _Item(row, tensor.offset, tensor.nbytes, digest, whole)


def _run(path: Path, items: list[_Item], comparison: Against | None, workers: int, progress) -> list[Finding]:
    """The findings of all items, in no order. Progress is reported from this thread."""
    total, done, findings = sum(item.nbytes for item in items), 0, []
    descriptor = os.open(path, os.O_RDONLY)
    pool, stop = ThreadPoolExecutor(workers), threading.Event()
    try:
        futures = {pool.submit(_check, path, descriptor, item, comparison, stop): item for item in items}
        for future in as_completed(futures):
            findings.append(future.result())
            done += futures[future].nbytes
            if progress is not None:
                progress(done, total, futures[future].row.name)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)  # waits: nobody reads the descriptor after this
        os.close(descriptor)
    return findings


def _check(path: Path, descriptor: int, item: _Item, comparison: Against | None, stop: threading.Event) -> Finding:
    """Reads one item once; hashes and, if there is a checkpoint, compares it. Interrupted: it is to stop."""
    digest = sha256()
    finding = Finding(item.row)

    def read(offset: int, nbytes: int) -> bytes:
        """The next bytes of the item, which come in order."""
        if stop.is_set():
            raise Interrupted(f"{path}: stopped before all of it was read.")
        data = os.pread(descriptor, nbytes, item.offset + offset)
        if len(data) != nbytes:
            raise ModelFileError(f"{path}: {item.row} is cut short; was the file changed while it was read?")
        digest.update(data)
        return data

    if comparison is None:
        for offset, nbytes, kind in item.pieces:
            finding.is_sound &= _is_sound(kind, read(offset, nbytes))
    else:
        comparison.check(finding, item.nbytes, read)
    finding.intact = digest.digest() == item.digest
    return finding


def _report(
    model: ModelFile,
    there: Mapping[str, TensorInfo],
    comparison: Against | None,
    items: list[_Item],
    findings: list[Finding],
) -> Report:
    """The report, or the exception that the findings call for: damage to the file before differences."""
    order = {item.row: number for number, item in enumerate(items)}
    findings = sorted(findings, key=lambda finding: order[finding.row])
    damaged = [str(finding.row) for finding in findings if not finding.intact]
    if damaged:
        verb = "does not match its SHA-256" if len(damaged) == 1 else "do not match their SHA-256"
        raise ModelFileError(f"{model.path}: {_some(damaged)} {verb}; copy the file again, or convert again.")
    unsound = [str(finding.row) for finding in findings if not finding.is_sound]
    if unsound:
        verb = "holds" if len(unsound) == 1 else "hold"
        raise ModelFileError(
            f"{model.path}: {_some(unsound)} {verb} weights that are NaN, infinite or beyond {MAX_WEIGHT:.0e}, or "
            "bytes of no matrix, though the hashes are right; convert a good checkpoint again."
        )
    differences = [text for finding in findings for text in finding.differences]
    if differences and comparison is not None:
        raise CheckpointError(f"{model.path} and {comparison.source.path} differ: {_some(differences)}.")
    errors: dict[str, ClassError] = {}
    for finding in findings:
        for name, error in finding.errors.items():
            errors[name] = error.widened(errors.get(name))
    return Report(
        path=model.path,
        against=comparison and comparison.source.path,
        layers=model.own_layers(),
        num_layers=model.config.num_hidden_layers,
        num_tensors=len(there),
        num_experts=sum(item.row.expert is not None for item in items),
        nbytes=model.size - sum(tensor.nbytes for name, tensor in model.tensors.items() if name not in there),
        int4_values=sum(finding.int4_values for finding in findings),
        scales=sum(finding.scales for finding in findings),
        float_values=sum(finding.float_values for finding in findings),
        errors=errors,
        warnings=tuple(comparison.warnings) if comparison else (),
    )


def _some(names: list[str]) -> str:
    """The first few, and how many more there are."""
    more = len(names) - NUM_NAMED
    return "; ".join(names[:NUM_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def _pieces(model: ModelFile, name: str, nbytes: int) -> Iterator[Piece]:
    """A tensor, or one expert of it, of nbytes bytes, in pieces of about a MiB that hold whole blocks."""
    described, end = model.packed.get(name), 0
    if described is not None and "parts" in described:
        matrices = [(p["offset"], p["kind"], p["rows"], p["cols"]) for p in described["parts"].values()]
    else:
        matrices = [] if described is None else [(0, described["kind"], described["rows"], described["cols"])]
    for offset, kind, rows, cols in sorted(matrices):
        yield from _cut(end, offset - end, GAP)
        end = offset + packed_bytes(kind, rows, cols)
        yield from _cut(offset, end - offset, kind)
    if described is not None:
        yield from _cut(end, nbytes - end, GAP)
    else:
        yield from _cut(end, nbytes - end, "F32" if model.tensors[name].ggml_type == "F32" else None)


def _is_sound(kind: str | None, data: bytes) -> bool:
    """Whether a piece of a kind can be computed with: no weight is NaN, infinite, or so large that its square is.

    A gap must be zeros: else a matrix is described as another kind."""
    if kind is None or not data:
        return True
    if kind == GAP:
        return not any(data)
    if kind == "F32":
        return bool((np.abs(np.frombuffer(data, np.float32)) < MAX_WEIGHT).all())
    if kind == "bf16":
        bits = np.frombuffer(data, np.uint16)
    else:  # the scales of each block
        bits = np.frombuffer(data, np.uint16).reshape(-1, BLOCK_BYTES[kind] // 2)[:, :ROWS]
    return int((bits & 0x7FFF).max()) < MAX_BITS


def _cut(start: int, nbytes: int, kind: str | None) -> Iterator[Piece]:
    block = 4 if kind is None else BLOCK_BYTES.get(kind, 4)
    step = PIECE_BYTES // block * block
    for at in range(start, start + nbytes, step):
        yield at, min(step, start + nbytes - at), kind
