"""The files of a checkpoint: headers of safetensors files, memory maps, and what is said of files of other kinds.

A safetensors file, checked against itself before anything believes it:

    | u64 little-endian: header length n | n bytes of JSON: {name: {dtype, shape, data_offsets: [begin, end]}} | data |

The format's rules (safetensors README): names are unique, offsets lie in the data, cover it without gap or overlap.
"""

import hashlib
import json
import mmap
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CheckpointError, OutOfMemory
from ..files import open_regular
from ..filetypes import HEAD_BYTES, PYTORCH, is_text, mistaken, recognised
from ..modelfile.header import unmapped

MAX_NAME = 256  # characters, so that messages can hold it
MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors package itself
ITEM_BYTES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1},
    **{"I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8},
}
AHEAD_BYTES = 1 << 20  # asked for at a time: Linux reads no more than a read-ahead window for one call
LARGE_PAGE = 4 << 20  # bytes
OTHERS = {  # part of a tensor's name: whose it is
    "lora_": "a LoRA adapter",
    ".switch_mlp.": "MLX",
    ".qweight": "GPTQ or AWQ",
    ".qzeros": "GPTQ or AWQ",
    ".g_idx": "GPTQ",
    ".scales": "MLX, GPTQ or AWQ",
    ".biases": "MLX",
    ".absmax": "bitsandbytes",
    ".quant_map": "bitsandbytes",
    ".weight_scale_2": "NVIDIA ModelOpt",
    ".weight_global_scale": "FP4",
    ".trellis": "EXL3",
}


class HeaderTensor(NamedTuple):
    """One tensor of a file: dtype as safetensors names it, shape, position in the file in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


def read_header(path: Path) -> tuple[dict[str, HeaderTensor], int, str]:
    """({name: tensor}, file size in bytes, SHA-256 of the 8 + n header bytes in hex).

    Raises CheckpointError, one sentence naming file and tensor, when the header breaks a rule of the format.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
                raise CheckpointError(f"{path}: {_no_header(start + file.read(HEAD_BYTES - 8), length, size)}")
            start += file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); allow it, or download it again.") from error
    entries = _parse(path, start[8:])
    data = 8 + length
    tensors = {name: _tensor(path, name, entry, data, size) for name, entry in entries.items()}
    _check_cover(path, tensors, data, size)
    return tensors, size, hashlib.sha256(start).hexdigest()


def _no_header(head: bytes, length: int, size: int) -> str:
    """Says what a file is that begins with no header, and what to do."""
    if size > 8 and (is_text(head) or recognised(head) is not None):
        return mistaken(head, "safetensors file")
    return f"the header claims {length:,} bytes but the file has {size:,}; download it again."


def _parse(path: Path, header: bytes) -> dict:
    def unique(pairs):
        seen = dict(pairs)
        if len(seen) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = counts.most_common(1)[0][0][:MAX_NAME]
            raise CheckpointError(f"{path}: the header names tensor {twice} twice; download the file again.")
        return seen

    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is not valid JSON; download the file again.") from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path}: the header is not a JSON object; this is no safetensors file.")
    entries.pop("__metadata__", None)
    for name in entries:
        if len(name) > MAX_NAME or not name.isprintable():
            raise CheckpointError(f"{path}: the header names a tensor {name[:40]!r}; download the file again.")
    return entries


def _tensor(path: Path, name: str, entry, data: int, size: int) -> HeaderTensor:
    """One checked entry; data is where the tensors begin in the file, size where it ends."""
    if not isinstance(entry, dict) or {"dtype", "shape", "data_offsets"} - entry.keys():
        raise CheckpointError(f"{path}: tensor {name} lacks dtype, shape or data_offsets; download the file again.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise CheckpointError(f"{path}: tensor {name} has the unknown dtype {str(dtype)[:40]!r}.")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{path}: tensor {name} has a shape or offsets that are no lists of whole numbers.")
    begin, end = offsets
    if begin > end or end > size - data:
        raise CheckpointError(
            f"{path}: tensor {name} should lie at bytes {begin:,} to {end:,} of the data, but the file is cut short "
            f"at {size - data:,}; download it again."
        )
    if prod(shape) * ITEM_BYTES[dtype] != end - begin:
        raise CheckpointError(
            f"{path}: tensor {name} of shape {shape} and dtype {dtype} does not fill its {end - begin:,} bytes."
        )
    return HeaderTensor(dtype, tuple(shape), data + begin, end - begin)


def _naturals(values) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**63 for v in values
    )


def _check_cover(path: Path, tensors: dict[str, HeaderTensor], data: int, size: int) -> None:
    """Raise CheckpointError unless the tensors cover the data without gap or overlap."""
    end, before = data, "the header"
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if tensor.offset < end:
            raise CheckpointError(f"{path}: tensors {before} and {name} overlap; download the file again.")
        if tensor.offset > end:
            raise CheckpointError(f"{path}: {tensor.offset - end:,} bytes before tensor {name} belong to no tensor.")
        end, before = tensor.offset + tensor.nbytes, name
    if end != size:
        raise CheckpointError(f"{path}: {size - end:,} bytes at the end belong to no tensor; download the file again.")


class MappedFile:
    """A file mapped read-only, for several threads. Its pages are asked for ahead of reading, and given back behind."""

    def __init__(self, path: Path):
        """CheckpointError: it cannot be mapped; OutOfMemory: this process may not map so much."""
        try:
            with open_regular(path) as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._descriptor = os.dup(file.fileno())
        except ValueError as error:
            raise CheckpointError(f"{path}: is empty; download it again.") from error
        except OSError as error:
            reason = unmapped(path, error)
            raise reason if isinstance(reason, OutOfMemory) else CheckpointError(str(reason)) from error

    def view(self, offset: int, nbytes: int) -> np.ndarray:
        """Read-only bytes u8[nbytes], nothing copied."""
        return np.frombuffer(self._map, np.uint8, nbytes, offset)

    def ask(self, begin: int, end: int) -> None:
        """The system reads bytes [begin, end) soon; returns at once."""
        for at in range(begin - begin % mmap.PAGESIZE, end, AHEAD_BYTES):
            self._map.madvise(mmap.MADV_WILLNEED, at, min(AHEAD_BYTES, end - at))

    def unmap_pages(self) -> None:
        """No page is this process's any more; views stay good, and what is read again is mapped again.

        Of the whole file, as a fault maps the pages around it as well.
        """
        self._map.madvise(mmap.MADV_DONTNEED)

    def forget(self, begin: int, end: int) -> None:
        """The system may drop bytes [begin, end) from its cache, where nobody has them mapped."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._descriptor, begin, end - begin, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Closes the file; the map goes with its last view."""
        os.close(self._descriptor)
        del self._map


def joined(places: list[tuple[Path, int, int]]) -> Iterator[tuple[Path, int, int]]:
    """Sorted pieces of files as fewer, larger ones: Linux keeps whatever shares a page of up to 4 MiB with others."""
    file, begin, end = None, 0, 0
    for next_file, next_begin, next_end in places:
        if next_file != file or next_begin - end > LARGE_PAGE:
            if file is not None:
                yield file, begin, end
            file, begin = next_file, next_begin - next_begin % LARGE_PAGE
            end = begin
        end = max(end, next_end)
    if file is not None:
        yield file, begin, end


def instead(directory: Path) -> str:
    """Says what to give in place of a directory that has no config.json."""
    if (directory / "adapter_config.json").exists():
        return "this is a LoRA adapter; merge it into its model first, and give that."
    snapshot = next(iter(sorted(directory.glob("snapshots/*/config.json"))), None)
    if snapshot is not None:
        return f"this is a folder of the hub's cache; give {snapshot.parent}."
    gguf = next(iter(sorted(directory.glob("*.gguf"))), None)
    if gguf is not None:
        return f"there are GGUF files; give one of them, such as {gguf}."
    return "give the directory of a Hugging Face checkpoint."


def other_weights(directory: Path) -> str:
    """Says what a directory holds in place of safetensors, and what to do: the end of a sentence."""
    for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt"):
        file = next(iter(sorted(directory.glob(pattern))), None)
        if file is not None:
            return f", but PyTorch's {file.name}; {PYTORCH}."
    if next(directory.glob("**/*.incomplete"), None) is not None:
        return ", and a download in it is not finished; go on with it (hf download)."
    gguf = next(iter(sorted(directory.glob("*.gguf"))), None)
    if gguf is not None:
        return f"; there are GGUF files: give one of them, such as {gguf}."
    return "; download them (hf download)."


def stranger(name: str) -> str:
    """Says whose a tensor of a layer is that the configuration does not know: the end of a sentence."""
    whose = next((whose for part, whose in OTHERS.items() if part in name), None)
    if whose is None:
        return "is none that this configuration has; config.json may be another's."
    return f"is of {whose}, which cannot be read; take the checkpoint as its publisher released it, or one in BF16."


def no_language_model(path: Path, names: Iterable[str], num_vision: int) -> str:
    """Says that no tensor is the language model's. num_vision: tensors of a vision tower among them."""
    if num_vision:
        return (
            f"{path}: holds the {num_vision} tensors of a vision tower and no language model; "
            "download the checkpoint's other shards."
        )
    first = next(iter(names), "none at all")
    return f"{path}: no tensor is one of this architecture's ({first} is the first); is it another model's checkpoint?"
