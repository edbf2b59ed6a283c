"""A checkpoint as the converter sees it: tensors by the names of the Hugging Face checkpoint, whatever the files are.

checkpoint.open_source opens one, and has checked names, shapes and dtypes against the configuration then. A Source only
reads, from memory maps, and may be used by several threads.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import ModelConfig
from ..errors import CheckpointError, ConfigError, UnsupportedCheckpoint
from ..quant import bf16_to_f32, f32_to_bf16
from .source_files import MappedFile, joined
from .tensors import GROUP, NUMPY, q4_0_to_int4, scale_blocks, to_f32, unpack_nibbles

SOURCE = "kimi-cpu.source"  # metadata of every model file that a conversion makes: Source.provenance


class SourceTensor(NamedTuple):
    """A tensor and its place: dtype as its file names it, logical shape, position in the file in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    nbytes: int

    @property
    def where(self) -> str:
        """File and tensor, as error messages begin."""
        return f"{self.file}: tensor {self.name}"


class Int4Linear(NamedTuple):
    """A matrix in INT4, group 32: value = (nibble - 8) * scale.

    packed i32[R, C/8], column 8w + j in bits 4j.. of word w; scales (bf16 bits) u16[R, C/32].
    """

    where: str
    packed: np.ndarray
    scales: np.ndarray
    rows: int
    cols: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Exact values f32[stop - start, C] of some rows."""
        values = unpack_nibbles(self.packed[start:stop]).astype(np.float32) - np.float32(8)
        return values * np.repeat(bf16_to_f32(self.scales[start:stop]), GROUP, axis=1)


class FloatLinear(NamedTuple):
    """A matrix of any other type. read(start, stop) -> exact values f32[stop - start, C] of some rows.

    bits u16[R, C] is the matrix itself where the source holds bf16 (dtype "BF16"), else None.
    """

    where: str
    dtype: str
    rows: int
    cols: int
    read: Callable[[int, int], np.ndarray]
    bits: np.ndarray | None = None


@dataclass
class Source:
    """An open checkpoint; a context manager. See the module's docstring."""

    path: Path
    name: str
    config_text: str
    config: ModelConfig
    files: list[tuple[str, int, str]]  # (name, size in bytes, SHA-256 of the header in hex)
    tensors: dict[str, SourceTensor]
    texts: dict[str, str] = field(default_factory=dict)  # generation_config, tokenizer_config, chat_template, license
    ranks: bytes | None = None  # tiktoken.model, verbatim
    warnings: list[str] = field(default_factory=list)
    scale_block: tuple[int, int] = (128, 128)  # rows, columns of one weight_scale_inv
    maps: dict[Path, MappedFile] = field(default_factory=dict)
    _rounded: dict[str, int] = field(default_factory=dict)  # module: its float16 scales that bf16 could not hold
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def provenance(self) -> str:
        """JSON that names what a file is made from: its name, and (name, size, hash of the header) of each file."""
        files = [{"name": name, "size": size, "header_sha256": digest} for name, size, digest in self.files]
        return json.dumps({"name": self.name, "files": files})

    def raw(self, name: str) -> np.ndarray:
        """A read-only view of a tensor's elements in its shape (bf16 as uint16, float8 as uint8); nothing is copied.

        Of a GGUF block type: its bytes, u8[..., bytes a row].
        """
        tensor = self.tensors[name]
        dtype = np.dtype(NUMPY.get(tensor.dtype, np.uint8))
        if tensor.nbytes == 0:
            return np.zeros(tensor.shape, dtype)
        flat = self.maps[tensor.file].view(tensor.offset, tensor.nbytes)
        if tensor.offset % dtype.itemsize:  # allowed by the format, read by no compiled kernel
            flat = flat.copy()
        shape = tensor.shape if tensor.dtype in NUMPY else (*tensor.shape[:-1], -1)
        return flat.view(dtype).reshape(shape)

    def values(self, name: str) -> np.ndarray:
        """Exact values f32 of a vector or a matrix, whatever it is stored as, in its shape."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.dtype == "F8_E4M3":  # packed, or with scales of its own
            matrix = self.linear(name.removesuffix(".weight"))
            return matrix.read(0, matrix.rows)
        return to_f32(tensor.dtype, self.raw(name))

    def where(self, name: str) -> str:
        """File and tensor, as error messages begin, of what `values` reads."""
        tensor = self.tensors.get(name) or self.tensors[f"{name.removesuffix('.weight')}.weight_packed"]
        return tensor.where

    def describe(self, module: str) -> tuple[str, int, int]:
        """(dtype, rows, cols) of a matrix without reading it; dtype INT4: `linear` gives an Int4Linear."""
        if f"{module}.weight_packed" in self.tensors:
            rows, words = self.tensors[f"{module}.weight_packed"].shape
            return "INT4", rows, words * 8
        if f"{module}.weight" not in self.tensors:
            heads, latents, nope = self.tensors[f"{module}.k_b"].shape
            value = self.tensors[f"{module}.v_b"].shape[1]
            return self.tensors[f"{module}.v_b"].dtype, heads * (nope + value), latents
        weight = self.tensors[f"{module}.weight"]
        rows, cols = weight.shape
        return "INT4" if weight.dtype == "Q4_0" else weight.dtype, rows, cols

    def linear(self, module: str) -> Int4Linear | FloatLinear:
        """The matrix of a module such as model.layers.3.mlp.experts.7.gate_proj.

        Rows that rotate are in interleaved order, and INT4 scales are bf16 and belong to groups of 32, whatever the
        checkpoint's. Raises CheckpointError for an INT4 matrix that cannot be so exactly, or states another shape.
        """
        if self.describe(module)[0] == "INT4":
            matrix = self._int4(module)
        elif f"{module}.weight" in self.tensors:
            matrix = self._float(module)
        else:
            matrix = self._heads(module)
        return matrix if self.config.rope_interleave else _interleaved(matrix, _rotating(module, self.config))

    def prefetch(self, module: str, start: int, stop: int) -> None:
        """Asks the system to read rows [start, stop) of a matrix from the disk; returns at once."""
        for file, begin, end in self._places(module, start, stop):
            self.maps[file].ask(begin, end)

    def give_back(self, done: Iterable[tuple[str, int, int]]) -> None:
        """Frees the memory that reading has filled. done: (module, start, stop) of rows that nobody needs again."""
        for mapped in self.maps.values():
            mapped.unmap_pages()
        places = sorted(place for rows in done for place in self._places(*rows))
        for file, begin, end in joined(places):
            self.maps[file].forget(begin, end)

    def _places(self, module: str, start: int, stop: int) -> Iterator[tuple[Path, int, int]]:
        """(file, first byte, one past the last) of what rows [start, stop) of a matrix are read from."""
        for suffix in (".weight_packed", ".weight_scale", ".weight"):
            tensor = self.tensors.get(module + suffix)
            if tensor is not None and tensor.nbytes:
                row_bytes = tensor.nbytes // tensor.shape[0]
                yield tensor.file, tensor.offset + start * row_bytes, tensor.offset + stop * row_bytes

    def close(self) -> None:
        """Closes the files."""
        self.tensors = {}
        for mapped in self.maps.values():
            mapped.close()
        self.maps.clear()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _int4(self, module: str) -> Int4Linear:
        if f"{module}.weight" in self.tensors:
            tensor = self.tensors[f"{module}.weight"]
            packed, scales, rounded = q4_0_to_int4(self.raw(f"{module}.weight"))
            self._count_rounded(module, rounded)
            return Int4Linear(tensor.where, packed, _finite(tensor, scales), *tensor.shape)
        packed, tensor = self.raw(f"{module}.weight_packed"), self.tensors[f"{module}.weight_scale"]
        scales = _exact(tensor, self.raw(f"{module}.weight_scale"))
        shape = [len(packed), packed.shape[1] * 8]
        stated = self.raw(f"{module}.weight_shape").tolist()
        if stated != shape:
            where = self.tensors[f"{module}.weight_shape"].where
            raise CheckpointError(f"{where} says {stated}, but the matrix is {shape}.")
        self._check_centred(module, len(scales))
        self._check_order(module, shape[1] // scales.shape[1])
        repeated = shape[1] // GROUP // scales.shape[1]
        scales = scales if repeated == 1 else np.repeat(scales, repeated, axis=1)
        return Int4Linear(tensor.where, packed, scales, *shape)

    def _check_centred(self, module: str, rows: int) -> None:
        """CheckpointError unless the zero points of an INT4 matrix, if it has any, say what is true without them."""
        tensor = self.tensors.get(f"{module}.weight_zero_point")
        if tensor is None:
            return
        points = self.raw(f"{module}.weight_zero_point")
        if len(points) != rows:  # nibbles, 8 rows a word: 8 is what 0 is stored as
            points = unpack_nibbles(np.ascontiguousarray(points.T))[:, :rows].astype(np.int8) - np.int8(8)
        if points.any():
            raise CheckpointError(
                f"{tensor.where} has zero points other than 0; only a symmetric quantization can be read. "
                "Take the checkpoint as its publisher released it."
            )

    def _check_order(self, module: str, group: int) -> None:
        """CheckpointError unless the groups of an INT4 matrix are columns that follow one another."""
        tensor = self.tensors.get(f"{module}.weight_g_idx")
        if tensor is None:
            return
        index = self.raw(f"{module}.weight_g_idx")
        if (index == -1).any():  # never set, which compressed-tensors takes as no reordering
            return
        if not np.array_equal(index, np.arange(len(index)) // group):
            raise CheckpointError(
                f"{tensor.where} scatters groups over the row (actorder); only columns that follow one another can be "
                "read. Take the checkpoint as its publisher released it."
            )

    def _count_rounded(self, module: str, count: int) -> None:
        """Keeps one warning that says how many scales were rounded, however often a module is read."""
        if not count:
            return
        with self._lock:
            if self._rounded:
                self.warnings.remove(self._rounding())
            self._rounded[module] = count
            self.warnings.append(self._rounding())

    def _rounding(self) -> str:
        return f"{sum(self._rounded.values()):,} float16 scales of Q4_0 blocks had to be rounded to bfloat16."

    def _float(self, module: str) -> FloatLinear:
        tensor = self.tensors[f"{module}.weight"]
        raw, scales = self.raw(f"{module}.weight"), None
        if tensor.dtype == "F8_E4M3":
            scales = self.values(f"{module}.weight_scale_inv")

        def read(start: int, stop: int) -> np.ndarray:
            values = to_f32(tensor.dtype, raw[start:stop])
            return values if scales is None else scale_blocks(values, scales, start, self.scale_block)

        bits = raw if tensor.dtype == "BF16" and scales is None else None
        rows, cols = tensor.shape
        return FloatLinear(tensor.where, tensor.dtype, rows, cols, read, bits)

    def _heads(self, module: str) -> FloatLinear:
        """kv_b_proj from the halves in a GGUF file: k_b [heads, latents, nope] and v_b [heads, value, latents]."""
        k_b = self.values(f"{module}.k_b").transpose(0, 2, 1)
        values = np.concatenate([k_b, self.values(f"{module}.v_b")], axis=1)  # [heads, nope + value, latents]
        values = values.reshape(-1, values.shape[2])
        tensor = self.tensors[f"{module}.v_b"]
        return FloatLinear(tensor.where, tensor.dtype, *values.shape, lambda start, stop: values[start:stop])


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors inside about a configuration begin with the file that it is in."""
    try:
        yield
    except ConfigError as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error


def check_finite(where: str, num_bad: int | np.integer) -> None:
    """CheckpointError when some values of a tensor are NaN or infinite."""
    if num_bad:
        raise CheckpointError(f"{where} has {num_bad} values that are NaN or infinite; download the file again.")


def _finite(tensor: SourceTensor, scales: np.ndarray) -> np.ndarray:
    """The scales (bf16 bits), all of them finite; else CheckpointError."""
    if (scales & 0x7FFF).max(initial=0) >= 0x7F80:  # exponent all ones: infinity or NaN
        raise CheckpointError(f"{tensor.where} holds a scale that is not finite; download the file again.")
    return scales


def _exact(tensor: SourceTensor, scales: np.ndarray) -> np.ndarray:
    """Finite scales as bf16 bits; else, or where bf16 cannot hold one of them, CheckpointError."""
    if tensor.dtype == "BF16":
        return _finite(tensor, scales)
    bits = _finite(tensor, f32_to_bf16(scales.astype(np.float32)))
    lost = np.count_nonzero(bf16_to_f32(bits) != scales)
    if lost:
        raise CheckpointError(
            f"{tensor.where} holds {lost:,} {tensor.dtype} scales that bfloat16 cannot hold exactly; "
            "take a checkpoint with scales in bfloat16, or one that is not quantised."
        )
    return bits


def _rotating(module: str, c: ModelConfig) -> np.ndarray | None:
    """i64[R]: for each row of the interleaved matrix, its row in the checkpoint; None when no row rotates.

    Half-split rotation pairs rows i and i + r/2 of the r rotating ones, interleaved rotation pairs 2i and 2i + 1.
    """
    kind = re.fullmatch(r"model\.layers\.\d+\.self_attn\.(q_proj|q_b_proj|kv_a_proj_with_mqa)", module)
    if not kind:
        return None
    keys = kind[1] == "kv_a_proj_with_mqa"
    still, heads = (c.kv_lora_rank, 1) if keys else (c.qk_nope_head_dim, c.num_attention_heads)
    pairs = np.arange(c.qk_rope_head_dim).reshape(2, -1).T.reshape(-1)  # [0, r/2, 1, r/2 + 1, ...]
    head = np.concatenate([np.arange(still), still + pairs])
    return (np.arange(heads)[:, None] * len(head) + head).reshape(-1)


def _interleaved(matrix: Int4Linear | FloatLinear, order: np.ndarray | None) -> Int4Linear | FloatLinear:
    if order is None:
        return matrix
    if isinstance(matrix, Int4Linear):
        return matrix._replace(packed=matrix.packed[order], scales=matrix.scales[order])

    def read(start: int, stop: int) -> np.ndarray:
        rows = order[start:stop]
        first = int(rows.min(initial=matrix.rows))
        return matrix.read(first, int(rows.max(initial=-1)) + 1)[rows - first]

    bits = None if matrix.bits is None else matrix.bits[order]
    return matrix._replace(read=read, bits=bits)
