"""A model file as read-only views of its bytes. Opening reads the header and nothing else.

The tensors are checked once against the configuration, for kernels that index blindly: each is there once, begins at a
page where the one before it ends, and has the type, the shape and the size that layout.py says; nothing else is in
the file.
"""

import json
import mmap
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..config import ModelConfig, config_from_hf
from ..errors import ConfigError, ModelFileError
from ..quant.rows16 import KINDS, Matrix, packed_bytes
from .header import map_file, parse_header
from .layout import (
    ALIGNMENT,
    ARCHITECTURE,
    EXPERTS_SUFFIX,
    HASHES,
    PARTS,
    TEXTS,
    TOKENIZER,
    VERSION,
    Experts,
    HashRow,
    Packed,
    Vector,
    aligned,
    contents,
    hash_rows,
)


class TensorInfo(NamedTuple):
    """The place of a tensor in the file, in bytes. ggml_type: name in gguf.GGMLQuantizationType; shape in numpy
    order."""

    name: str
    ggml_type: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class ExpertPart(NamedTuple):
    """One matrix of an expert: its packed kind, logical shape and first byte within the expert."""

    kind: str
    rows: int
    cols: int
    offset: int


class ModelFile:
    """An open GGUF file, of the native layout or any other; `require_native` tells them apart."""

    def __init__(
        self, path: Path, metadata: dict[str, Any], tensors: dict[str, TensorInfo], data: np.ndarray, size: int
    ):
        self.path, self.metadata, self.tensors, self.size = path, metadata, tensors, size
        self._map: np.ndarray | None = data  # u8, read-only map of the file
        self._copies: dict[str, np.ndarray] = {}  # u8, of tensors whose views are not of the map

    @classmethod
    def open(cls, path: str | Path) -> "ModelFile":
        """Maps a file. ModelFileError: not a GGUF file, truncated, corrupt or not to be read; FileNotFoundError.

        OutOfMemory: this process may not map so much.
        """
        path = Path(path)
        mapped = map_file(path)
        return cls._parsed(path, mapped, len(mapped))

    @classmethod
    def to_be(cls, path: Path, head: bytes, size: int) -> "ModelFile":
        """A file of `size` bytes that is to begin with these, checked before it is written: it has no weights."""
        return cls._parsed(path, head, size)

    @classmethod
    def _parsed(cls, path: Path, data: mmap.mmap | bytes, size: int) -> "ModelFile":
        header = parse_header(path, data, size)
        tensors = {name: TensorInfo(name, *tensor) for name, tensor in header.tensors.items()}
        return cls(path, header.metadata, tensors, np.frombuffer(data, np.uint8), size)

    def close(self) -> None:
        """Forgets the map and the copies; they are gone when their last views are."""
        self._map = None
        self._copies.clear()

    def __enter__(self) -> "ModelFile":
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    @property
    def _data(self) -> np.ndarray:
        assert self._map is not None, "the file was closed"
        return self._map

    @property
    def architecture(self) -> str:
        return self.metadata.get("general.architecture", "")

    def require_native(self) -> None:
        """ModelFileError unless this is a file of the layout that this program knows, and its header is intact."""
        self.require_version()
        self.require_table()
        if not self.header_is_intact():
            raise ModelFileError(
                f"{self.path}: the header does not match its SHA-256; copy the file again, or convert again."
            )

    def require_table(self) -> None:
        """ModelFileError unless the tensors follow one another to the end of the file."""
        _check_table(self)

    def header_is_intact(self) -> bool:
        """Whether the first row of the hashes is that of the header. ModelFileError: there are no hashes."""
        return sha256(self.header()).digest() == self.view(HASHES)[:32].tobytes()

    def require_version(self) -> None:
        """ModelFileError unless the header says that this is a file of the layout that this program knows."""
        if self.architecture != ARCHITECTURE:
            raise ModelFileError(
                f"{self.path} has the layout of architecture {self.architecture[:40]!r}; "
                f"make a native file with: kimi-cpu convert {self.path} -o FILE"
            )
        version = self.metadata.get("kimi-cpu.version")
        if type(version) is not int or version != VERSION:
            raise ModelFileError(
                f"{self.path} has format {str(version)[:40]}, this program knows {VERSION}. Convert it again."
            )

    @cached_property
    def config(self) -> ModelConfig:
        """The model's configuration, which the tensors of the file fit. ModelFileError."""
        self.require_native()
        return self.described_config()

    def described_config(self) -> ModelConfig:
        """As `config`, of a file whose header may not be intact."""
        try:
            config = config_from_hf(self._json("kimi-cpu.config"))[0]
        except ConfigError as e:
            raise ModelFileError(f"{self.path}: metadata kimi-cpu.config: {e}") from e
        _check_contents(self, config)
        return config

    def model_hash(self) -> str:
        """Names the weights: the SHA-256 over all hashes of the file, in hex."""
        return self.view(HASHES)[-32:].tobytes().hex()

    def view(self, name: str) -> np.ndarray:
        """Bytes of a tensor: read-only u8[nbytes]."""
        info = self._info(name)
        if name in self._copies:
            return self._copies[name]
        return self._data[info.offset : info.offset + info.nbytes]

    def keep(self, name: str, copy: np.ndarray) -> None:
        """Views of a tensor are of `copy` from now on, u8[nbytes] in memory of its own."""
        copy.flags.writeable = False
        self._copies[name] = copy

    def header(self) -> np.ndarray:
        """Bytes before the first tensor."""
        return self._data[: min((t.offset for t in self.tensors.values()), default=len(self._data))]

    def between(self, start: int, stop: int) -> np.ndarray:
        """Bytes [start, stop) of the file."""
        return self._data[start:stop]

    def part(self, layers: range) -> list[TensorInfo]:
        """The tensors of some layers, as layout.contents gives them."""
        return [self._info(name) for name, _ in contents(self.config, layers)]

    def sizes(self, layers: range) -> dict[str, int]:
        """Bytes of the tensors of some layers, by their names."""
        return {tensor.name: tensor.nbytes for tensor in self.part(layers)}

    def spans(self, layers: range) -> list[tuple[int, int]]:
        """The bytes [begin, end) in which the tensors of some layers lie."""
        spans: list[tuple[int, int]] = []
        for tensor in self.part(layers):
            begin, end = tensor.offset, tensor.offset + tensor.nbytes
            if spans and aligned(spans[-1][1]) == begin:
                begin = spans.pop()[0]
            spans.append((begin, end))
        return spans

    def has_layer(self, layer: int) -> bool:
        """Whether the layer is there."""
        return bool(self.array(f"blk.{layer}.attn_norm.weight").any())

    def own_layers(self) -> range:
        """All layers; of a part of a file, which has one stage's, and zeros elsewhere, these."""
        there = [layer for layer in self.config.layers if self.has_layer(layer)]
        return range(there[0], there[-1] + 1) if there else self.config.layers

    def own_tensors(self) -> dict[str, TensorInfo]:
        """The tensors of own_layers, and those that every part has."""
        own = {*TOKENIZER, HASHES, *self.sizes(self.own_layers())}
        return {name: tensor for name, tensor in self.tensors.items() if name in own}

    def require_layers(self, layers: range) -> None:
        """ModelFileError unless the first and the last of some layers are there."""
        if not (self.has_layer(layers[0]) and self.has_layer(layers[-1])):
            raise ModelFileError(
                f"{self.path}: not all of the layers {layers[0]} to {layers[-1]} are there; it is the part of a file "
                "that one stage of several needs. Take the whole file, or run as many stages (--ray-stages)."
            )

    def array(self, name: str) -> np.ndarray:
        """An F32 tensor: read-only f32 of its shape."""
        info = self._info(name)
        if info.ggml_type != "F32":
            raise ModelFileError(f"{self.path}: tensor {name} has type {info.ggml_type}, F32 is needed.")
        return self.view(name).view(np.float32).reshape(info.shape)

    def matrix(self, name: str) -> Matrix:
        """A packed matrix, as kimi-cpu.tensors describes it."""
        described = self.packed[name]
        return Matrix(described["kind"], described["rows"], described["cols"], self.view(name))

    def packed_kinds(self) -> dict[str, str]:
        """Packed kind of each packed tensor; a tensor of experts has one for each of gate, up and down."""
        return {
            name: d["kind"] if "kind" in d else "/".join(dict.fromkeys(part["kind"] for part in d["parts"].values()))
            for name, d in self.packed.items()
        }

    def experts(self, layer: int) -> tuple[np.ndarray, dict[str, ExpertPart]]:
        """(u8[experts, stride] of a layer, its parts "gate", "up" and "down")."""
        name = f"blk.{layer}{EXPERTS_SUFFIX}"
        described = self.packed[name]["parts"]
        parts = {part: ExpertPart(*(described[part][key] for key in ExpertPart._fields)) for part in PARTS}
        return self.view(name).reshape(self.tensors[name].shape), parts

    @property
    def num_weights(self) -> int:
        """Number of values in the model's matrices, experts and vectors."""
        total = sum(prod(t.shape) for t in self.tensors.values() if t.ggml_type == "F32")
        for name, described in self.packed.items():
            if "kind" in described:
                total += described["rows"] * described["cols"]
            else:
                one = sum(part["rows"] * part["cols"] for part in described["parts"].values())
                total += self._info(name).shape[0] * one
        return total

    def hash_rows(self) -> list[tuple[HashRow, bytes]]:
        """Each stored SHA-256 with the bytes that it covers. ModelFileError: there are none, or they are corrupt."""
        listed = hash_rows((t.name, t.shape) for t in self.tensors.values() if t.name != HASHES)
        stored = self.view(HASHES).tobytes()
        if len(stored) != 32 * (len(listed) + 1):
            raise ModelFileError(f"{self.path}: tensor {HASHES} does not fit the tensor table; the header is corrupt.")
        return [(row, stored[32 * i : 32 * i + 32]) for i, row in enumerate(listed)]

    @cached_property
    def packed(self) -> dict[str, Any]:
        """kimi-cpu.tensors: an entry has kind, rows and cols, or parts, each of which has them and an offset."""
        described = self._json("kimi-cpu.tensors")
        try:
            for name, entry in described.items():
                if ("kind" in entry) == ("parts" in entry):
                    raise ValueError(f"{name} is neither a matrix nor experts")
                if "parts" in entry and entry["parts"].keys() != set(PARTS):
                    raise ValueError(f"{name} has other parts")
                parts = [entry | {"offset": 0}] if "kind" in entry else [entry["parts"][name] for name in PARTS]
                for part in parts:
                    if type(part["kind"]) is not str:
                        raise ValueError(f"{part['kind']} is no name")
                    if not all(
                        type(part[key]) is int and 0 <= part[key] < 1 << 62 for key in ("rows", "cols", "offset")
                    ):
                        raise ValueError(f"{part} is no matrix")
        except (KeyError, ValueError, TypeError, AttributeError) as e:
            raise ModelFileError(f"{self.path}: metadata kimi-cpu.tensors is corrupt. Convert it again.") from e
        return described

    def _json(self, key: str) -> Any:
        try:
            return json.loads(self.metadata[key])
        except (KeyError, ValueError, TypeError, RecursionError) as e:
            raise ModelFileError(f"{self.path}: metadata {key} is missing or corrupt. Convert it again.") from e

    def _info(self, name: str) -> TensorInfo:
        if name not in self.tensors:
            raise ModelFileError(f"{self.path}: tensor {name} is missing. Convert the checkpoint again.")
        return self.tensors[name]


def _check_table(file: ModelFile) -> None:
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


def _check_contents(file: ModelFile, config: ModelConfig) -> None:
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


def _check_packed(file: ModelFile, tensor: TensorInfo, spec: Packed, described: Mapping | None) -> None:
    found = described or {}
    if "kind" not in found:
        _refuse(file, tensor, "is missing from kimi-cpu.tensors")
    if (found["rows"], found["cols"]) != spec:
        _refuse(file, tensor, f"is [{found['rows']}, {found['cols']}], its configuration asks for {list(spec)}")
    if tensor.shape != (_size(file, tensor, found),):
        _refuse(file, tensor, f"does not have the size of {found['kind']} {list(spec)}")
    _check_bytes(file, tensor)


def _check_vector(file: ModelFile, tensor: TensorInfo, spec: Vector, described: None) -> None:
    if tensor.ggml_type != "F32" or tensor.shape != spec.shape:
        found = f"{tensor.ggml_type} {list(tensor.shape)}"
        _refuse(file, tensor, f"is {found}, its configuration asks for F32 {list(spec.shape)}")


def _check_experts(file: ModelFile, tensor: TensorInfo, spec: Experts, described: Mapping | None) -> None:
    found = (described or {}).get("parts")
    if found is None:
        _refuse(file, tensor, "is missing from kimi-cpu.tensors")
    if len(tensor.shape) != 2 or tensor.shape[0] != spec.num_experts:
        _refuse(file, tensor, f"is {list(tensor.shape)}, not {spec.num_experts} experts")
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


def _size(file: ModelFile, tensor: TensorInfo, matrix: Mapping) -> int:
    """Bytes of a described matrix."""
    if matrix["kind"] not in KINDS:
        _refuse(file, tensor, f"is of kind {matrix['kind'][:20]!r}, which this program does not know")
    return packed_bytes(matrix["kind"], matrix["rows"], matrix["cols"])


def _check_bytes(file: ModelFile, tensor: TensorInfo) -> None:
    if tensor.ggml_type != "I8" or tensor.nbytes != prod(tensor.shape):
        _refuse(file, tensor, f"has type {tensor.ggml_type}, I8 is needed")


def _refuse(file: ModelFile, tensor: TensorInfo, what: str) -> NoReturn:
    raise ModelFileError(f"{file.path}: tensor {tensor.name} {what}. Convert the checkpoint again.")
