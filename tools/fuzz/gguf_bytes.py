"""A GGUF file taken apart into pieces that can be changed at will, wrong ones too, and put together again.

Layout: gguf specification (ggml/docs/gguf.md), version 3. A native file gets the right hashes of whatever is in it.
"""

import struct
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

from kimi_cpu.modelfile import HASHES
from kimi_cpu.modelfile.header import ARRAY, SCALARS, STRING, read_gguf
from kimi_cpu.modelfile.layout import EXPERTS_SUFFIX

U32, F32 = 4, 6  # types of metadata
I8 = 24  # gguf.GGMLQuantizationType
MAX_ROWS = 100_000  # of hashes that are made for a file


@dataclass
class Tensor:
    """dims: fastest first. offset: from the start of the data; None: after the one before."""

    name: str
    dims: list[int]
    kind: int
    data: bytes
    offset: int | None = None


@dataclass
class Pieces:
    """metadata: (key, type, value); an array's value is (type, list). sealed: a native file, with hashes of its own."""

    metadata: list[tuple[str, int, Any]]
    tensors: list[Tensor]
    alignment: int
    sealed: bool
    version: int = 3
    counts: tuple[int, int] | None = None  # of tensors and metadata, if others than there are

    def get(self, key: str) -> Any:
        return next(value for name, _, value in self.metadata if name == key)

    def set(self, key: str, kind: int, value: Any) -> None:
        """Replaces a key, or adds it."""
        at = next((i for i, entry in enumerate(self.metadata) if entry[0] == key), None)
        if at is None:
            self.metadata.append((key, kind, value))
        else:
            self.metadata[at] = key, kind, value

    def tensor(self, name: str) -> Tensor | None:
        return next((t for t in self.tensors if t.name == name), None)


def read(path: Path) -> Pieces:
    """The pieces of a good file, those of a native one without its hashes."""
    data = path.read_bytes()
    places, at = read_gguf(path).tensors, 8

    def take(code: str) -> Any:
        nonlocal at
        at += struct.calcsize("<" + code)
        return struct.unpack_from("<" + code, data, at - struct.calcsize("<" + code))[0]

    def text() -> str:
        nonlocal at
        length = take("Q")
        at += length
        return data[at - length : at].decode()

    def value(kind: int) -> Any:
        if kind == ARRAY:
            inner = take("I")
            return inner, [value(inner) for _ in range(take("Q"))]
        return text() if kind == STRING else take(SCALARS[kind])

    num_tensors, num_values = take("Q"), take("Q")
    metadata = []
    for _ in range(num_values):
        key, kind = text(), take("I")
        metadata.append((key, kind, value(kind)))
    tensors = []
    for _ in range(num_tensors):
        name, dims = text(), [take("Q") for _ in range(take("I"))]
        kind, _ = take("I"), take("Q")
        place = places[name]
        tensors.append(Tensor(name, dims, kind, data[place.offset : place.offset + place.nbytes]))
    sealed = tensors[-1].name == HASHES
    alignment = next((v for key, _, v in metadata if key == "general.alignment"), 32)
    return Pieces(metadata, tensors[:-1] if sealed else tensors, alignment, sealed)


def write(path: Path, pieces: Pieces) -> None:
    """The file of the pieces. Numbers that a field cannot hold are cut to its size."""
    tensors = list(pieces.tensors)
    if pieces.sealed:
        rows = min(MAX_ROWS, 2 + len(tensors) + sum(_experts(t) for t in tensors))
        tensors.append(Tensor(HASHES, [32, rows], I8, bytes(32 * rows)))
    offsets, at = [], 0
    for tensor in tensors:
        offset = at if tensor.offset is None else tensor.offset
        offsets.append(offset)
        if tensor.offset is None:
            at = -(-(offset + len(tensor.data)) // pieces.alignment) * pieces.alignment
    head = _head(pieces, tensors, offsets)
    head += bytes(-len(head) % pieces.alignment)
    out = bytearray(head)
    for tensor, offset in zip(tensors, offsets, strict=True):
        begin = len(head) + offset
        if begin < 1 << 26:
            out.extend(bytes(max(0, begin - len(out))))
            out[begin : begin + len(tensor.data)] = tensor.data
    if pieces.sealed:
        first = len(head) + min(offsets)
        hashes = _hashes(sha256(out[:first]).digest(), tensors)
        out[len(head) + offsets[-1] :] = hashes.ljust(len(tensors[-1].data), b"\0")[: len(tensors[-1].data)]
    path.write_bytes(out)


def _experts(tensor: Tensor) -> int:
    """How many experts have hashes of their own."""
    count = tensor.dims[-1] if tensor.dims and tensor.name.endswith(EXPERTS_SUFFIX) else 0
    return count if count < MAX_ROWS else 0


def _hashes(header: bytes, tensors: list[Tensor]) -> bytes:
    """What the last tensor must hold."""
    rows = [header]
    for tensor in tensors[:-1]:
        count = _experts(tensor)
        stride = len(tensor.data) // count if count else 0
        own = [sha256(tensor.data[i * stride : (i + 1) * stride]).digest() for i in range(count)]
        rows += [*own, sha256(b"".join(own) or tensor.data).digest()]
    return b"".join([*rows, sha256(b"".join(rows)).digest()])


def _head(pieces: Pieces, tensors: list[Tensor], offsets: list[int]) -> bytearray:
    counts = pieces.counts or (len(tensors), len(pieces.metadata))
    out = bytearray(b"GGUF" + _number("I", pieces.version) + _number("Q", counts[0]) + _number("Q", counts[1]))
    for key, kind, value in pieces.metadata:
        out += _text(key) + _number("I", kind) + _value(kind, value)
    for tensor, offset in zip(tensors, offsets, strict=True):
        out += _text(tensor.name) + _number("I", len(tensor.dims))
        out += b"".join(_number("Q", n) for n in tensor.dims)
        out += _number("I", tensor.kind) + _number("Q", offset)
    return out


def _value(kind: int, value: Any) -> bytes:
    if kind == ARRAY and isinstance(value, tuple):
        inner, items = value
        return _number("I", inner) + _number("Q", len(items)) + b"".join(_value(inner, item) for item in items)
    if kind in SCALARS:
        return _number(SCALARS[kind], value)
    return _text(value) if isinstance(value, str) else _number("Q", value)


def _number(code: str, value: Any) -> bytes:
    value = value if isinstance(value, int | float) else 0
    if code in "fd":
        try:
            return struct.pack("<" + code, value)
        except OverflowError:
            return struct.pack("<" + code, float("inf"))
    size = struct.calcsize(code)
    number = int(value) if value == value and abs(value) < 1 << 70 else 0
    return (number % (1 << 8 * size)).to_bytes(size, "little")


def _text(text: Any) -> bytes:
    stored = str(text).encode("utf-8", "surrogatepass")
    return len(stored).to_bytes(8, "little") + stored


def nbytes(tensor: Tensor) -> int:
    """Bytes of an I8 or F32 tensor's dims."""
    return prod(tensor.dims) * (1 if tensor.kind == I8 else 4)
