"""Proof that a model file is whole, and that it holds what its checkpoint does.

The file's own SHA-256s show that no bit changed since it was written. `against` shows that it was written right: the
checkpoint is read again, INT4 values and scales are compared bit for bit, F32 tensors exactly, and matrices that were
rounded to 8 bits or bf16 by their largest error.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil

from ..errors import ModelFileError
from ..kernels.pack import pack_bf16, pack_int4
from ..modelfile import HASHES, ModelFile
from ..modelfile.layout import EXPERTS_SUFFIX, HashRow
from ..quant import rows16
from ..quant.rows16 import GROUP, ROWS, Matrix, packed_bytes
from . import native
from .jobs import Part, Plan, Unit
from .source import FloatLinear, Int4Linear, Source, open_source

BLOCK_BYTES = 8 << 20  # hashed and compared at a time
MAX_NAMED = 5  # mismatches that a message lists
Progress = Callable[[int, int, str], None]


@dataclass
class Report:
    """What was checked: bytes hashed, matrices compared bit for bit, and the largest errors of the others.

    errors: class of tensor -> (largest |difference|, the same as a share of its group's largest value).
    """

    num_bytes: int = 0
    num_exact: int = 0
    errors: dict[str, tuple[float, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def verify(
    path: str | Path,
    against: str | Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Checks a native file's hashes, and with `against` its content. ModelFileError names what differs."""
    report = Report()
    with ModelFile.open(path) as file:
        file.require_native()
        _check_hashes(file, jobs or psutil.cpu_count(logical=False) or 1, report, progress)
        if against is not None:
            with open_source(Path(against)) as source:
                _Comparison(file, source, report).run(progress)
                report.warnings += source.warnings
    return report


def _check_hashes(file: ModelFile, jobs: int, report: Report, progress: Progress | None) -> None:
    stored = file.view(HASHES).tobytes()
    if sha256(stored[:-32]).digest() != stored[-32:]:
        raise ModelFileError(f"{file.path}: tensor {HASHES} is corrupt: it does not match its own last row.")
    rows = file.hash_rows()
    total = sum(t.nbytes for t in file.tensors.values())
    wrong: list[str] = []
    head, digest = rows[0]
    if not _check_row(file, head, digest)[1]:  # what it says about the tensors may be wrong as well
        raise ModelFileError(f"{file.path} is corrupt: {head} differs from what was written. Copy it again.")
    for number, (row, good, nbytes) in enumerate(_parallel(rows, lambda r: _check_row(file, *r), jobs)):
        if not good:
            wrong.append(str(row))
        report.num_bytes += nbytes
        if progress is not None:
            progress(min(report.num_bytes, total), total, str(rows[number][0]))
    wrong += _wrong_expert_rows(file, rows)
    wrong += [f"the padding before {name}" for name in _dirty_gaps(file)]
    if wrong:
        more = f" and {len(wrong) - MAX_NAMED} more" if len(wrong) > MAX_NAMED else ""
        named = ", ".join(sorted(wrong)[:MAX_NAMED])
        raise ModelFileError(f"{file.path} is corrupt: {named}{more} differ from what was written. Copy it again.")


def _check_row(file: ModelFile, row: HashRow, stored: bytes) -> tuple[HashRow, bool, int]:
    """(row, whether its bytes have the stored hash, bytes read). Tensors of experts are checked by their rows."""
    if not row.name:
        data = file.header()
    elif row.expert is not None:
        data = file.view(row.name).reshape(file.tensors[row.name].shape)[row.expert]
    elif row.name.endswith(EXPERTS_SUFFIX):
        return row, True, 0
    else:
        data = file.view(row.name)
    digest = sha256()
    for start in range(0, len(data), BLOCK_BYTES):
        digest.update(data[start : start + BLOCK_BYTES])
    return row, digest.digest() == stored, data.nbytes


def _wrong_expert_rows(file: ModelFile, rows: list[tuple[HashRow, bytes]]) -> list[str]:
    """Tensors of experts whose own row is not the hash of their experts' rows."""
    wrong, experts = [], []
    for row, stored in rows:
        if row.expert is not None:
            experts.append(stored)
        else:
            if row.name.endswith(EXPERTS_SUFFIX) and sha256(b"".join(experts)).digest() != stored:
                wrong.append(str(row))
            experts = []
    return wrong


def _dirty_gaps(file: ModelFile) -> list[str]:
    """Names of tensors before which there are bytes that are not zero and belong to nothing."""
    dirty, at = [], len(file.header())
    for info in sorted(file.tensors.values(), key=lambda t: t.offset):
        if file.between(at, info.offset).any():
            dirty.append(info.name)
        at = info.offset + info.nbytes
    return dirty


def _parallel(items: list, function: Callable, jobs: int) -> Iterator:
    """function(item) of all items in order, computed by several threads."""
    todo: queue.SimpleQueue = queue.SimpleQueue()
    outcomes: list = [None] * len(items)
    finished = [threading.Event() for _ in items]
    for number in range(len(items)):
        todo.put(number)

    def work() -> None:
        while True:
            try:
                number = todo.get_nowait()
            except queue.Empty:
                return
            try:
                outcomes[number] = function(items[number])
            except BaseException as e:
                outcomes[number] = e
            finished[number].set()

    for _ in range(jobs):
        threading.Thread(target=work, daemon=True).start()
    for number, event in enumerate(finished):
        event.wait()
        if isinstance(outcomes[number], BaseException):
            raise outcomes[number]
        yield outcomes[number]


class _Comparison:
    """A native file beside the checkpoint that it was made from."""

    def __init__(self, file: ModelFile, source: Source, report: Report):
        self.file, self.source, self.report = file, source, report
        self.rng = np.random.default_rng(0)

    def run(self, progress: Progress | None) -> None:
        """ModelFileError: what differs, by the file's name and the checkpoint's."""
        if self.file.config != self.source.config:
            raise ModelFileError(f"{self.file.path}: its configuration is not that of {self.source.path}.")
        self._check_headers()
        plan = native.plan(self.source, self._dense())
        self._check_names(plan)
        total, done = sum(o.spec.nbytes for o in plan.outputs), 0
        for output in plan.outputs:
            view = self.file.view(output.spec.name)
            for unit in output.units:
                self._compare_unit(output.spec.name, view[unit.offset : unit.offset + unit.nbytes], unit)
                done += unit.nbytes
                if progress is not None:
                    progress(done, total, unit.name)

    def _dense(self) -> str:
        kind = self.file.matrix("token_embd.weight").kind
        return next(option for option, packed in native.DENSE_KINDS.items() if packed == kind)

    def _check_headers(self) -> None:
        """The safetensors headers are those that the converter saw."""
        stored = {f["name"]: f["header_sha256"] for f in json.loads(self.file.metadata["kimi-cpu.source"])["files"]}
        for name, _, digest in self.source.files:
            if stored.get(name) != digest:
                raise ModelFileError(f"{self.file.path}: the header of {self.source.path / name} is another one now.")

    def _check_names(self, plan: Plan) -> None:
        expected = {o.spec.name: o.spec.shape for o in plan.outputs}
        found = {t.name: t.shape for t in self.file.tensors.values() if t.name != HASHES}
        for name in sorted(expected.keys() ^ found.keys()):
            raise ModelFileError(f"{self.file.path}: tensor {name} is in one of file and checkpoint only.")
        for name, shape in expected.items():
            if found[name] != shape:
                raise ModelFileError(f"{self.file.path}: tensor {name} has shape {found[name]}, not {shape}.")

    def _compare_unit(self, name: str, data: np.ndarray, unit: Unit) -> None:
        for part in unit.parts:
            self._compare_part(name, data[part.offset : part.offset + part.nbytes], part, unit.name)

    def _compare_part(self, name: str, data: np.ndarray, part: Part, unit: str) -> None:
        made = part.pack
        if getattr(made, "func", None) is not native._pack:  # vectors and the tokenizer: bytes as they are
            self._expect(np.array_equal(made(), data), name, unit, "")
            return
        _, module, kind, order = made.args
        linear = self.source.linear(module)
        if isinstance(linear, Int4Linear) and kind == "int4":
            packed, _ = pack_int4(linear.packed[order[0] : order[-1] + 1], linear.scales[order[0] : order[-1] + 1])
            self._expect(np.array_equal(packed, data), name, unit, module)
            self._check_by_hand(data, linear, order, name, unit, module)
            self.report.num_exact += 1
        elif isinstance(linear, FloatLinear) and linear.bits is not None and kind == "bf16":
            bits = native._place(linear.bits[_span(order)], order, _span(order).start)
            self._expect(np.array_equal(pack_bf16(bits)[0], data), name, unit, module)
            self.report.num_exact += 1
        else:
            self._measure(data, linear, kind, order, name, unit, module)

    def _check_by_hand(self, data, linear: Int4Linear, order, name: str, unit: str, module: str) -> None:
        """A row block of a packed matrix against numpy's layout, so that the compiled packer is not its own judge."""
        start = int(self.rng.integers(-(-len(order) // ROWS))) * ROWS
        rows = order[start : start + ROWS]
        nbytes = packed_bytes("int4", len(rows), linear.cols)
        at = packed_bytes("int4", start, linear.cols)
        nibbles, scales = rows16.unpack_int4(Matrix("int4", len(rows), linear.cols, data[at : at + nbytes]))
        words = linear.packed[rows[0] : rows[-1] + 1].view(np.uint32)
        expected = ((words[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15).reshape(nibbles.shape)
        same = np.array_equal(nibbles, expected) and np.array_equal(scales, linear.scales[rows[0] : rows[-1] + 1])
        self._expect(same, name, unit, module)

    def _measure(self, data, linear, kind: str, order, name: str, unit: str, module: str) -> None:
        """Largest error of rounded values. Each must be within the rounding that its kind does."""
        span = _span(order)
        values = native._place(linear.read(span.start, span.stop), order, span.start)
        stored = rows16.unpack(Matrix(kind, len(order), linear.cols, data))
        groups = np.zeros((len(order), rows16.pad(linear.cols, GROUP)), np.float32)
        groups[:, : linear.cols] = np.abs(values)
        peak = groups.reshape(len(order), -1, GROUP).max(-1)
        peak = np.repeat(peak, GROUP, axis=1)[:, : linear.cols]
        error = np.abs(stored - values)
        share = float((error / np.where(peak == 0, np.float32(1), peak)).max(initial=0))
        # Half a step of the scale, and what rounding the scale itself to bf16 cuts off at the group's largest value.
        allowed = {"q8": 0.5 / 127 + 2**-8, "int4": 0.5 / 7 + 2**-3, "bf16": 2**-8}[kind]
        self._expect(share <= allowed, name, unit, module)
        label = f"{kind} {_class(name)}"
        worst = self.report.errors.get(label, (0.0, 0.0))
        self.report.errors[label] = (max(worst[0], float(error.max(initial=0))), max(worst[1], share))

    def _expect(self, good: bool, name: str, unit: str, module: str) -> None:
        if not good:
            of = f" (checkpoint: {module})" if module else ""
            raise ModelFileError(f"{self.file.path}: tensor {unit} differs from {self.source.path}{of}.")


def _span(order: np.ndarray) -> slice:
    """The source rows that an order uses."""
    used = order[order >= 0]
    return slice(int(used.min()), int(used.max()) + 1) if len(used) else slice(0, 1)


def _class(name: str) -> str:
    """Tensors of one class in all layers: attn_q_a, ffn_down, …"""
    parts = name.removesuffix(".weight").split(".")
    return parts[-1]
