"""Compares a model file with the checkpoint that it was made from: packed again, and unpacked by another way.

Equal bytes prove the values where nothing is lost, provided that the packer is right. Therefore a block of rows of each
part is also unpacked by quant.rows16, which shares no code with the packer, and compared value by value; parts that
lose precision are unpacked as a whole, and their largest error is kept.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError, KimiError, ModelFileError
from ..modelfile import HASHES, ModelFile
from ..modelfile.header import read_gguf
from ..modelfile.layout import EXPERTS_SUFFIX, HashRow
from ..quant import rows16
from ..quant.rows16 import GROUP, ROWS, Matrix, packed_bytes
from . import native
from .blueprint import Blueprint, DropBehind, Origin, Part, Unit
from .checkpoint import open_source
from .source import SOURCE, FloatLinear, Int4Linear, Source
from .source_files import read_header
from .tensors import unpack_nibbles

TEXTS = {  # metadata that is the checkpoint's text: what it is there
    "kimi-cpu.config": "config.json",
    "kimi-cpu.generation_config": "generation_config.json",
    "kimi-cpu.tokenizer_config": "tokenizer_config.json",
    "tokenizer.chat_template": "the chat template",
    "kimi-cpu.license": "the licence",
}
RANKS = "tokenizer.ranks"  # tiktoken.model, verbatim
SLICE_VALUES = 1 << 17  # unpacked at a time: temporaries stay in the cache
LIMITS = {"q8": 1 / 250, "int4": 1 / 7, "bf16": 1 / 256}  # error over the group's largest value that rounding can make
TINY = np.float32(1e-30)  # groups below it have scales that bf16 may not hold
Read = Callable[[int, int], bytes]  # (offset, nbytes)


class ClassError(NamedTuple):
    """Largest error of the tensors of one class: packed kind, |x - stored|, and that over the group's largest |x|."""

    kind: str
    absolute: float
    relative: float

    def widened(self, other: "ClassError | None") -> "ClassError":
        """The larger of both errors."""
        if other is None:
            return self
        return ClassError(self.kind, max(self.absolute, other.absolute), max(self.relative, other.relative))


@dataclass
class Finding:
    """The findings in one tensor or expert.

    is_sound: its weights can be computed with. differences: from the checkpoint, a phrase each.
    """

    row: HashRow
    intact: bool = True
    is_sound: bool = True
    differences: list[str] = field(default_factory=list)
    errors: dict[str, ClassError] = field(default_factory=dict)
    int4_values: int = 0
    scales: int = 0
    float_values: int = 0


def open_against(model: ModelFile, path: Path) -> "Against":
    """Opens the comparison with a checkpoint, and compares headers, texts and names. CheckpointError names the file."""
    _check_headers(model, path)
    source = open_source(path)
    try:
        return Against(model, source)
    except BaseException:
        source.close()
        raise


class Against:
    """An open comparison, used by several threads. warnings: those of the source."""

    def __init__(self, model: ModelFile, source: Source):
        self.model, self.source = model, source
        _check_texts(model, source)
        blueprint = native.blueprint(source, _dense(model))
        _check_tables(model, source, blueprint)
        self.warnings = blueprint.warnings
        self._behind = DropBehind(source)
        self.units: dict[HashRow, Unit] = {}
        for tensor in blueprint.tensors:
            name = tensor.spec.name
            for number, unit in enumerate(tensor.units):
                self.units[HashRow(name, number if name.endswith(EXPERTS_SUFFIX) else None)] = unit

    def __enter__(self) -> "Against":
        return self

    def __exit__(self, *_) -> None:
        self.source.close()

    def check(self, finding: Finding, nbytes: int, read: Read) -> None:
        """Compares one tensor or expert of nbytes, read in order by read(offset, nbytes); notes what it finds."""
        at = 0
        for part in self.units[finding.row].parts if finding.row in self.units else ():
            self._check_gap(finding, read(at, part.offset - at))
            data = np.frombuffer(read(part.offset, part.nbytes), np.uint8)
            at = part.offset + part.nbytes
            try:
                self._check_part(finding, part, data)
            except KimiError as e:  # of the checkpoint: a scale that is not finite, a shape that is not the matrix's
                finding.differences.append(str(e).rstrip("."))
            self._behind.done(part)
        self._check_gap(finding, read(at, nbytes - at))

    def _check_gap(self, finding: Finding, data: bytes) -> None:
        if any(data):
            finding.differences.append(f"the padding of {finding.row} is not zero")

    def _check_part(self, finding: Finding, part: Part, data: np.ndarray) -> None:
        packed = part.pack()
        origin = part.origin
        if not np.array_equal(packed, data):
            of = "tiktoken.model" if origin is None else _culprits(self.source, finding.row, origin, packed, data)
            finding.differences.append(f"{of} and {finding.row}")
        elif isinstance(origin, Origin):
            self._check_values(finding, origin, data)
        elif origin is not None:
            finding.float_values += data.nbytes // 4

    def _check_values(self, finding: Finding, origin: Origin, data: np.ndarray) -> None:
        """The values of a part whose bytes are what the packer makes, against the checkpoint's without the packer."""
        linear = native.linear_of(self.source, origin.module)
        rows = np.asarray(origin.rows)
        if isinstance(linear, Int4Linear) and origin.kind == "int4":
            same = _same_int4(linear, rows, data)
            finding.int4_values += len(rows) * linear.cols
            finding.scales += len(rows) * (linear.cols // GROUP)
        elif isinstance(linear, FloatLinear) and linear.bits is not None and origin.kind == "bf16":
            same = _same_bf16(linear, rows, data)
            finding.float_values += int((rows >= 0).sum()) * linear.cols
        else:
            error = _largest_error(linear, origin.kind, rows, data)
            same = error.relative <= LIMITS[origin.kind]
            name = _class_of(finding.row.name)
            finding.errors[name] = error.widened(finding.errors.get(name))
        if not same:
            finding.differences.append(f"{linear.where} and {finding.row}, though packed alike: the packer is wrong")


def _check_headers(model: ModelFile, path: Path) -> None:
    """CheckpointError unless the checkpoint's files have the sizes and headers that the converter saw."""
    files = _files(model)
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such checkpoint directory or file.")
    for name, size, digest in files:
        file = path / name if path.is_dir() else path if len(files) == 1 else path.with_name(name)
        if not file.is_file():
            raise CheckpointError(f"{file}: is missing, but {model.path} was made from it.")
        if file.stat().st_size != size:
            raise CheckpointError(f"{file} has {file.stat().st_size:,} bytes; {model.path} was made from {size:,}.")
        try:
            found = read_header(file)[2] if path.is_dir() else read_gguf(file).sha256
        except ModelFileError as e:
            raise CheckpointError(f"The header of {file} is not the one that {model.path} was made from ({e})") from e
        if found != digest:
            raise CheckpointError(f"The header of {file} is not the one that {model.path} was made from.")


def _files(model: ModelFile) -> list[tuple[str, int, str]]:
    """(name, size, SHA-256 of the header) of the files that a model says it was made from. ModelFileError."""
    try:
        listed = json.loads(model.metadata[SOURCE])["files"]
        files: list[tuple[Any, Any, Any]] = [(f["name"], f["size"], f["header_sha256"]) for f in listed]
    except (KeyError, TypeError, ValueError, RecursionError):
        files = [(None, None, None)]
    for name, size, digest in files:
        is_name = isinstance(name, str) and name.isprintable() and Path(name).name == name != ""
        if not is_name or type(size) is not int or not isinstance(digest, str):
            raise ModelFileError(f"{model.path}: metadata {SOURCE} is missing or corrupt; convert again.")
    return files


def _check_texts(model: ModelFile, source: Source) -> None:
    """CheckpointError unless configuration, tokenizer and texts are those in the file."""
    texts = {"kimi-cpu.config": source.config_text, "kimi-cpu.license": source.texts.get("license")}
    texts |= {key: source.texts.get(key.split(".", 1)[1]) for key in TEXTS if key not in texts}
    for key, text in texts.items():
        if (text or None) != model.metadata.get(key):
            raise CheckpointError(f"{source.path}: {TEXTS[key]} is not the one that {model.path} holds as {key}.")
    stored = model.view(RANKS).tobytes() if RANKS in model.tensors else None
    if stored != source.ranks:
        if stored is not None and dict(model.hash_rows())[HashRow(RANKS)] != sha256(stored).digest():
            raise ModelFileError(f"{model.path}: tensor {RANKS} does not match its SHA-256; copy the file again.")
        raise CheckpointError(f"{source.path}: tiktoken.model is not the one that {model.path} holds.")


def _check_tables(model: ModelFile, source: Source, blueprint: Blueprint) -> None:
    """CheckpointError unless the file has the tensors, in the order and of the kinds, that the checkpoint calls for."""
    described = json.loads(model.metadata["kimi-cpu.tensors"])
    expected = json.loads(blueprint.metadata["kimi-cpu.tensors"])
    specs = {t.spec.name: (t.spec.ggml_type, t.spec.shape, expected.get(t.spec.name)) for t in blueprint.tensors}
    found = {t.name: (t.ggml_type, t.shape, described.get(t.name)) for t in model.tensors.values() if t.name != HASHES}
    for name in [*specs, *found]:
        if specs.get(name) != found.get(name):
            raise CheckpointError(f"{model.path}: tensor {name} is not of the kind or shape that {source.path} has.")
    if list(specs) != list(found):
        raise ModelFileError(f"{model.path}: the tensors are not in the order of this program; convert again.")


def _dense(model: ModelFile) -> str:
    """The value of --dense that the file was made with."""
    kinds = set(" ".join(model.packed_kinds().values()).replace("/", " ").split())
    return next((option for option, kind in native.DENSE_KINDS.items() if kind in kinds), "q8_0")


def _culprits(source: Source, row: HashRow, origin: Origin | str, packed: np.ndarray, data: np.ndarray) -> str:
    """The checkpoint's tensors in which a difference may lie, as messages name them."""
    if isinstance(origin, str):
        names = [origin]
    elif f"{origin.module}.weight_packed" in source.tensors and origin.kind == "int4":
        cols = source.describe(origin.module)[2]
        made, stored = (rows16.unpack_int4(Matrix("int4", len(origin.rows), cols, d)) for d in (packed, data))
        names = [
            f"{origin.module}.{part}"
            for part, a, b in zip(("weight_packed", "weight_scale"), made, stored, strict=True)
            if not np.array_equal(a, b)
        ]
    else:
        half = ".k_b" if row.name.endswith("attn_k_b.weight") else ".v_b"
        names = [
            origin.module + part for part in (".weight_packed", ".weight_scale", ".weight", ".weight_scale_inv", half)
        ]
    return " or ".join(source.tensors[name].where for name in names if name in source.tensors) or source.path.name


def _sample(rows: np.ndarray, data: np.ndarray, kind: str, cols: int) -> tuple[np.ndarray, Matrix]:
    """One block of rows of a part, another one in every part but always the same: (source rows, packed block)."""
    blocks = -(-len(rows) // ROWS)
    block = zlib.crc32(data[:64]) % blocks
    chosen = rows[block * ROWS : (block + 1) * ROWS]
    nbytes = packed_bytes(kind, ROWS, cols)
    return chosen, Matrix(kind, len(chosen), cols, data[block * nbytes : (block + 1) * nbytes])


def _same_int4(linear: Int4Linear, rows: np.ndarray, data: np.ndarray) -> bool:
    chosen, matrix = _sample(rows, data, "int4", linear.cols)
    nibbles, scales = rows16.unpack_int4(matrix)
    return np.array_equal(nibbles, unpack_nibbles(linear.packed[chosen])) and np.array_equal(
        scales, linear.scales[chosen]
    )


def _same_bf16(linear: FloatLinear, rows: np.ndarray, data: np.ndarray) -> bool:
    assert linear.bits is not None  # what is packed as bf16 was bf16
    chosen, matrix = _sample(rows, data, "bf16", linear.cols)
    expected = np.where(chosen[:, None] >= 0, linear.bits[chosen], np.uint16(0))
    return np.array_equal(rows16.unpack_bf16(matrix), expected)


def _largest_error(linear: Int4Linear | FloatLinear, kind: str, rows: np.ndarray, data: np.ndarray) -> ClassError:
    """Over all values of a part, which rounded them."""
    step = max(ROWS, SLICE_VALUES // linear.cols // ROWS * ROWS)
    result = ClassError(kind, 0.0, 0.0)
    row_bytes = packed_bytes(kind, ROWS, linear.cols) // ROWS
    for begin in range(0, len(rows), step):
        chosen = rows[begin : begin + step]
        packed = data[begin * row_bytes :][: packed_bytes(kind, len(chosen), linear.cols)]
        stored = rows16.unpack(Matrix(kind, len(chosen), linear.cols, packed))
        used = chosen[chosen >= 0]
        values = np.zeros_like(stored)
        if len(used):
            start = int(used.min())
            values[chosen >= 0] = linear.read(start, int(used.max()) + 1)[used - start]
        result = result.widened(_error(kind, values, stored))
    return result


def _error(kind: str, values: np.ndarray, stored: np.ndarray) -> ClassError:
    """f32[n, C] both."""
    error, size = np.abs(values - stored), np.abs(values)
    if kind == "bf16":
        peak = size  # each value was rounded by itself
    else:
        starts = np.arange(0, values.shape[1], GROUP)
        error, peak = np.maximum.reduceat(error, starts, axis=1), np.maximum.reduceat(size, starts, axis=1)
    relative = np.divide(error, peak, out=np.zeros_like(error), where=peak > TINY)
    return ClassError(kind, float(error.max(initial=0)), float(relative.max(initial=0)))


def _class_of(name: str) -> str:
    """A tensor's name without its layer: attn_q_a, ffn_exps, …"""
    return name.removesuffix(".weight").rsplit(".", 1)[-1]
