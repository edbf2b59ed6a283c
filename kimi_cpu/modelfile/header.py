"""The header of a GGUF file: read of any file, and checked against it before anything believes it; written of ours.

To read it, gguf.GGUFReader takes 8 s for the two arrays of 163,840 strings in a file of Kimi K2, does not end on an
array whose length has a flipped bit, and tells a cut file by whatever numpy says; this takes 0.1 s and one sentence.
Layout: gguf specification (ggml/docs/gguf.md), versions 2 and 3.
"""

import errno
import hashlib
import io
import mmap
import struct
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, cast

import gguf
import numpy as np
from gguf.gguf_writer import WriterState

from ..config import in_words
from ..errors import ModelFileError, OutOfMemory
from ..files import open_regular
from ..filetypes import HEAD_BYTES, mistaken
from .layout import ALIGNMENT, TensorSpec, aligned

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
MAGIC, VERSIONS = b"GGUF", (2, 3)
STRING, ARRAY = 8, 9
MAX_DIMS = 4  # ggml: GGML_MAX_DIMS
MAX_NAME = 256  # characters; the specification allows tensors' names 64 bytes and keys more than anyone needs
MAX_HEADER_BYTES = 1 << 26  # Kimi K2's has 8 MB with all of its 163,840 tokens and merges in it
MAX_ENTRIES = 1 << 21  # of an array
SKIPPED = ("tokenizer.ggml.merges", "tokenizer.ggml.scores")  # large, and derivable from the tokens
_ADD = {str: "add_string", bool: "add_bool", int: "add_uint32", float: "add_float32"}  # by the type of a value


class GGUFTensor(NamedTuple):
    """One tensor: type as gguf.GGMLQuantizationType names it, shape slowest first, position in the file in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class GGUFHeader(NamedTuple):
    """All that a file says before its data. sha256: in hex, of the bytes before the first tensor's."""

    metadata: dict
    tensors: dict[str, GGUFTensor]
    size: int
    sha256: str


def read_gguf(path: Path) -> GGUFHeader:
    """The header of a GGUF file. Raises ModelFileError, one sentence naming file and tensor, when it is broken."""
    data = map_file(path)
    return parse_header(path, data, len(data))


def parse_header(path: Path, data: mmap.mmap | bytes, size: int) -> GGUFHeader:
    """As read_gguf, of a file of `size` bytes that is mapped already, or of its first bytes; path is for messages."""
    return _Cursor(path, data, size).header()


def map_file(path: Path) -> mmap.mmap:
    """The whole file, read-only. ModelFileError: it is empty, no regular file, or not to be read; OutOfMemory: this
    process may not map so much; OSError: there is none.

    In huge pages where the system can: weights in pages of 4 KiB are read at 60 to 85 % of the memory's speed.
    """
    try:
        with open_regular(path) as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{path}: this is no GGUF file (it is empty).") from error
    except OSError as error:
        raise unmapped(path, error) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return mapped


def unmapped(path: Path, error: OSError) -> ModelFileError | OutOfMemory:
    """The error of a file that cannot be opened or mapped: why, and what to do."""
    if error.errno == errno.ENOMEM:
        size = in_words(path.stat().st_size)
        return OutOfMemory(
            f"{path}: this process may not map its {size}; raise the limit of its address space (ulimit -v)."
        )
    if error.errno == errno.ENODEV:
        return ModelFileError(f"{path}: its file system cannot map files into memory; copy the file to a local disk.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ModelFileError(f"{path}: may not be read by this user; allow it (chmod) or run as its owner.")
    return ModelFileError(f"{path}: cannot be read ({error.strerror}); name a file on a disk that can be read.")


def row_bytes(dtype: str, cols: int) -> int:
    """Bytes of one row of a GGUF type; cols is a multiple of its block."""
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[dtype]]
    return cols // block * size


def _unreadable(version: int) -> str:
    """The words on a file of another version than VERSIONS: what it is, and what to do."""
    if int.from_bytes(version.to_bytes(4, "little"), "big") in range(1, 256):
        return (
            "this is a big-endian GGUF file; take the little-endian one, or convert this one with the gguf package "
            "(gguf-convert-endian FILE little)."
        )
    if version == 1:
        return "GGUF version 1 cannot be read, versions 2 and 3 can; convert its checkpoint with a newer llama.cpp."
    return f"GGUF version {version} cannot be read, versions 2 and 3 can; download it again, or update kimi-cpu."


class _Cursor:
    """A position in the header; every read is checked against the end of the file."""

    def __init__(self, path: Path, data: mmap.mmap | bytes, size: int):
        self.path, self.data, self.size, self.at = path, data, size, 0

    def header(self) -> GGUFHeader:
        if self.data[:4] != MAGIC:
            raise ModelFileError(f"{self.path}: {mistaken(self.data[:HEAD_BYTES], 'GGUF file')}")
        self.at = len(MAGIC)
        version = self._scalar("I")
        if version not in VERSIONS:
            raise ModelFileError(f"{self.path}: {_unreadable(version)}")
        num_tensors, num_values = self._scalar("Q"), self._scalar("Q")
        metadata = {}
        for _ in range(num_values):
            key = self._name()
            if key in metadata:
                raise ModelFileError(f"{self.path}: metadata {key} is there twice.")
            metadata[key] = self._value(self._scalar("I"), key)
        infos = [self._tensor_info() for _ in range(num_tensors)]
        alignment = metadata.get("general.alignment", gguf.GGUF_DEFAULT_ALIGNMENT)
        if type(alignment) is not int or not 0 < alignment <= 1 << 24:
            raise ModelFileError(f"{self.path}: metadata general.alignment is {str(alignment)[:40]}; it is corrupt.")
        if not isinstance(metadata.get("general.architecture", ""), str):
            raise ModelFileError(f"{self.path}: metadata general.architecture is no text; it is corrupt.")
        start = -(-self.at // alignment) * alignment
        tensors = self._place(infos, start)
        first = min((t.offset for t in tensors.values()), default=self.size)
        digest = hashlib.sha256(self.data[: min(first, len(self.data))]).hexdigest()
        return GGUFHeader(metadata, tensors, self.size, digest)

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ModelFileError(
                f"{self.path}: the header is cut short at {len(self.data):,} bytes; download it again."
            )
        if count > MAX_HEADER_BYTES - self.at:
            raise ModelFileError(
                f"{self.path}: the header has more than {MAX_HEADER_BYTES >> 20} MiB and is corrupt; download it again."
            )
        self.at += count
        return self.data[self.at - count : self.at]

    def _scalar(self, code: str):
        return struct.unpack("<" + code, self._bytes(struct.calcsize(code)))[0]

    def _string(self) -> str:
        return self._bytes(self._scalar("Q")).decode("utf-8", "replace")

    def _name(self) -> str:
        """A tensor's name or a metadata key: short and printable, so that messages can hold it."""
        name = self._string()
        if len(name) > MAX_NAME or not name.isprintable():
            raise ModelFileError(f"{self.path}: the header names something {name[:40]!r}; it is corrupt.")
        return name

    def _value(self, kind: int, key: str):
        if kind in SCALARS:
            return self._scalar(SCALARS[kind])
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            raise ModelFileError(f"{self.path}: metadata {key} has the unknown type {kind}.")
        kind, count = self._scalar("I"), self._scalar("Q")
        if count > MAX_ENTRIES:
            raise ModelFileError(f"{self.path}: metadata {key} has {count:,} entries, so it is corrupt.")
        if kind in SCALARS:
            code = SCALARS[kind]
            stored = self._bytes(count * struct.calcsize(code))
            return list(struct.unpack(f"<{count}{code}", stored))
        if kind != STRING:
            raise ModelFileError(f"{self.path}: metadata {key} is an array of type {kind}, which cannot be read.")
        if key in SKIPPED:
            for _ in range(count):
                self._bytes(self._scalar("Q"))
            return None
        return [self._string() for _ in range(count)]

    def _tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        """(name, shape slowest first, type number, offset from the start of the data)."""
        name = self._name()
        num_dims = self._scalar("I")
        if not 1 <= num_dims <= MAX_DIMS:
            raise ModelFileError(f"{self.path}: tensor {name} has {num_dims} dimensions.")
        fastest_first = [self._scalar("Q") for _ in range(num_dims)]
        if 0 in fastest_first:
            raise ModelFileError(f"{self.path}: tensor {name} has no elements ({fastest_first}); it is corrupt.")
        return name, tuple(reversed(fastest_first)), self._scalar("I"), self._scalar("Q")

    def _place(self, infos, start: int) -> dict[str, GGUFTensor]:
        """Tensors with positions in the file, checked for size, bounds, overlap and uniqueness."""
        tensors = {}
        for name, shape, number, offset in infos:
            if name in tensors:
                raise ModelFileError(f"{self.path}: the header names tensor {name} twice; download the file again.")
            try:
                dtype = gguf.GGMLQuantizationType(number)
            except ValueError:
                raise ModelFileError(
                    f"{self.path}: tensor {name} has type {number}, which llama.cpp does not have (a fork may); "
                    "take a file with llama.cpp's own types, such as Q8_0 or Q4_K."
                ) from None
            block, _ = gguf.GGML_QUANT_SIZES[dtype]
            if shape[-1] % block:
                raise ModelFileError(f"{self.path}: tensor {name} has rows of {shape[-1]}, no multiple of {block}.")
            nbytes = prod(shape[:-1]) * row_bytes(dtype.name, shape[-1])
            tensors[name] = GGUFTensor(dtype.name, shape, start + offset, nbytes)
        end, before = start, "the header"
        for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
            if tensor.offset < end:
                raise ModelFileError(f"{self.path}: tensors {before} and {name} overlap; download the file again.")
            end, before = tensor.offset + tensor.nbytes, name
            if end > self.size:
                raise ModelFileError(
                    f"{self.path}: tensor {name} ends at byte {end:,}, but the file is cut short at "
                    f"{self.size:,}; download it again."
                )
        return tensors


def header_bytes(architecture: str, metadata: dict[str, Any], specs: list[TensorSpec]) -> tuple[bytes, list[int]]:
    """(all bytes before the first tensor, offset of each tensor in the file), for tensors one after the other.

    metadata values: str, bool, int (uint32), float (float32) or lists of one of these. The same arguments give the
    same bytes.
    """
    writer = _InMemory(None, architecture)
    writer.add_custom_alignment(ALIGNMENT)
    for key, value in metadata.items():
        if isinstance(value, (list, tuple)):
            writer.add_array(key, value)
        else:
            getattr(writer, _ADD[type(value)])(key, value)
    for spec in specs:
        kind = gguf.GGMLQuantizationType[spec.ggml_type]
        writer.add_tensor_info(spec.name, spec.shape, np.dtype(np.float32), spec.nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    head = writer.head.getvalue()
    head = head.ljust(aligned(len(head)), b"\0")
    offsets, at = [], len(head)
    for spec in specs:
        offsets.append(at)
        at = aligned(at + spec.nbytes)
    return head, offsets


class _InMemory(gguf.GGUFWriter):
    """The package's writer with memory in place of files: a container may have no place for temporary ones."""

    def open_output_file(self, path=None) -> None:
        self.head = io.BytesIO()
        self.fout, self.state = [cast(io.BufferedWriter, self.head)], WriterState.EMPTY
