"""Whether a file's tensors are those of its configuration: checked once, for kernels that index blindly.

Each tensor is there once, begins at a page where the one before it ends, and has the type, the shape and the size that
contents.py says; nothing else is in the file.
"""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from ..config import ModelConfig
from ..errors import ModelFileError
from ..quant.rows16 import KINDS, packed_bytes
from .contents import PARTS, TEXTS, TOKENIZER, Experts, Packed, Vector, contents
from .layout import ALIGNMENT, EXPERTS_SUFFIX, HASHES, aligned

if TYPE_CHECKING:
    from .reader import ModelFile, TensorInfo


def check_table(file: "ModelFile") -> None:
    """ModelFileError unless tensors follow one another from page to page, and the hashes of all end the file."""
    tensors, end = list(file.tensors.values()), None
    for tensor in tensors:
        if tensor.offset % ALIGNMENT or (end is not None and tensor.offset != aligned(end)):
            raise ModelFileError(f"{file.path}: tensor {tensor.name} is not at the page where the one before it ends.")
        end = tensor.offset + tensor.nbytes
    if not tensors or tensors[-1].name != HASHES:
        raise ModelFileError(f"{file.path}: tensor {HASHES} is not the last one; convert again.")
    if file.size != end:
        raise ModelFileError(f"{file.path} has {file.size:,} bytes, its header says {end:,}; copy the file again.")
    experts = sum(t.shape[0] for t in tensors if t.name.endswith(EXPERTS_SUFFIX))
    rows = 1 + (len(tensors) - 1) + experts + 1  # the header, each tensor, each expert, and of all of these
    if tensors[-1].ggml_type != "I8" or tensors[-1].shape != (rows, 32):
        raise ModelFileError(f"{file.path}: tensor {HASHES} does not fit the tensor table; the header is corrupt.")


def check_contents(file: "ModelFile", config: ModelConfig) -> None:
    """ModelFileError, naming the tensor, unless the file holds what a configuration needs and nothing else."""
    wanted = dict(contents(config))
    extra = min(file.tensors.keys() - wanted.keys() - {*TOKENIZER, HASHES}, default=None)
    if extra is not None:
        raise ModelFileError(f"{file.path}: tensor {extra} is none that its configuration has. Convert it again.")
    extra = next((name for name in file.packed if isinstance(wanted.get(name), Vector | None)), None)
    if extra is not None:
        raise ModelFileError(f"{file.path}: kimi-cpu.tensors describes {extra[:64]!r}, which is not packed.")
    for key in TEXTS:
        if not isinstance(file.metadata.get(key, ""), str):
            raise ModelFileError(f"{file.path}: metadata {key} is no text. Convert the checkpoint again.")
    if len(file.tensors.keys() & set(TOKENIZER)) == 1:
        raise ModelFileError(f"{file.path}: one of the tensors {' and '.join(TOKENIZER)} is missing. Convert it again.")
    for name, spec in wanted.items():
        if name not in file.tensors:
            raise ModelFileError(f"{file.path}: tensor {name} is missing. Convert the checkpoint again.")
        check = {Packed: _check_packed, Vector: _check_vector, Experts: _check_experts}[type(spec)]
        check(file, file.tensors[name], spec, file.packed.get(name))


def _check_packed(file: "ModelFile", tensor: "TensorInfo", spec: Packed, described: Mapping | None) -> None:
    found = described or {}
    if "kind" not in found:
        _refuse(file, tensor, "is missing from kimi-cpu.tensors")
    if (found["rows"], found["cols"]) != spec:
        _refuse(file, tensor, f"is [{found['rows']}, {found['cols']}], its configuration asks for {list(spec)}")
    if tensor.shape != (_size(file, tensor, found),):
        _refuse(file, tensor, f"does not have the size of {found['kind']} {list(spec)}")
    _check_bytes(file, tensor)


def _check_vector(file: "ModelFile", tensor: "TensorInfo", spec: Vector, described: None) -> None:
    if tensor.ggml_type != "F32" or tensor.shape != spec.shape:
        found = f"{tensor.ggml_type} {list(tensor.shape)}"
        _refuse(file, tensor, f"is {found}, its configuration asks for F32 {list(spec.shape)}")


def _check_experts(file: "ModelFile", tensor: "TensorInfo", spec: Experts, described: Mapping | None) -> None:
    found = (described or {}).get("parts")
    if found is None:
        _refuse(file, tensor, "is missing from kimi-cpu.tensors")
    if len(tensor.shape) != 2 or tensor.shape[0] != spec.count:
        _refuse(file, tensor, f"is {list(tensor.shape)}, not {spec.count} experts")
    _check_bytes(file, tensor)
    end = 0
    for name in PARTS:
        part = found[name]
        if (part["rows"], part["cols"]) != spec.shape(name):
            shape = [part["rows"], part["cols"]]
            _refuse(file, tensor, f"has {name} {shape}, its configuration asks for {list(spec.shape(name))}")
        if part["offset"] != end:
            _refuse(file, tensor, f"has {name} at byte {part['offset']} of an expert, which must be at {end:,}")
        end += _size(file, tensor, part)
    if aligned(end) != tensor.shape[1]:
        _refuse(file, tensor, f"has experts of {tensor.shape[1]:,} bytes, whose matrices need {aligned(end):,}")


def _size(file: "ModelFile", tensor: "TensorInfo", matrix: Mapping) -> int:
    """Bytes of a described matrix."""
    if matrix["kind"] not in KINDS:
        _refuse(file, tensor, f"is of kind {matrix['kind'][:20]!r}, which this program does not know")
    return packed_bytes(matrix["kind"], matrix["rows"], matrix["cols"])


def _check_bytes(file: "ModelFile", tensor: "TensorInfo") -> None:
    if tensor.ggml_type != "I8" or tensor.nbytes != prod(tensor.shape):
        _refuse(file, tensor, f"has type {tensor.ggml_type}, I8 is needed")


def _refuse(file: "ModelFile", tensor: "TensorInfo", what: str) -> None:
    raise ModelFileError(f"{file.path}: tensor {tensor.name} {what}. Convert the checkpoint again.")
