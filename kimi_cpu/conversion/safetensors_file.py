"""The header of one safetensors file, checked against the file before anything believes it.

    | u64 little-endian: header length n | n bytes of JSON: {name: {dtype, shape, data_offsets: [begin, end]}} | data |

The format's rules (safetensors README): names are unique, offsets lie in the data, cover it without gap or overlap.
"""

import hashlib
import json
import os
from collections import Counter
from math import prod
from pathlib import Path
from typing import NamedTuple

from ..errors import CheckpointError
from ..files import open_regular
from ..filetypes import HEAD_BYTES, is_text, mistaken, recognised

MAX_NAME = 256  # characters, so that messages can hold it
MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors package itself
ITEM_BYTES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1},
    **{"I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8},
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
    """Of a file that begins with no header: what it is instead, and what to do."""
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
