"""Names, constants and the order of the hashes, on which reader and writer agree."""

from collections.abc import Iterable
from typing import NamedTuple

ARCHITECTURE = "kimi-cpu"  # general.architecture of the native layout, so that llama.cpp refuses it by name
VERSION = 1  # kimi-cpu.version; the reader refuses others
ALIGNMENT = 4096  # general.alignment: one page of memory, one sector of any disk
HASHES = "kimi-cpu.sha256"  # name of the last tensor: I8 [rows, 32]
EXPERTS_SUFFIX = ".ffn_exps.weight"


class TensorSpec(NamedTuple):
    """A tensor that is to be written: ggml_type as in gguf.GGMLQuantizationType's names, shape in numpy order."""

    name: str
    ggml_type: str
    shape: tuple[int, ...]
    nbytes: int


class HashRow(NamedTuple):
    """The bytes that one row of the hashes covers. expert None: the whole tensor; name "": the header."""

    name: str
    expert: int | None = None

    def __str__(self) -> str:
        if not self.name:
            return "the header"
        return f"tensor {self.name}" + ("" if self.expert is None else f", expert {self.expert}")


def hash_rows(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> list[HashRow]:
    """Rows of the tensor HASHES for tensors (name, shape) in file order, HASHES itself excluded.

    Row 0 is the header: all bytes before the first tensor. Then one row a tensor in file order. A tensor of experts has
    one row for each expert first, and its own is the SHA-256 of those rows. The last row, not in this list, is the
    SHA-256 of all rows before it.
    """
    rows = [HashRow("")]
    for name, shape in tensors:
        if name.endswith(EXPERTS_SUFFIX):
            rows.extend(HashRow(name, expert) for expert in range(shape[0]))
        rows.append(HashRow(name))
    return rows


def aligned(offset: int) -> int:
    """offset rounded up to the alignment."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
