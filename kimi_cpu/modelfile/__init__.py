"""The one file: GGUF v3 with packed tensors, read as views and written in place. docs/format.md draws it."""

from .layout import ARCHITECTURE, HASHES, TensorSpec, hash_rows
from .reader import ExpertPart, ModelFile, TensorInfo
from .writer import header_bytes

__all__ = [
    "ARCHITECTURE",
    "HASHES",
    "ExpertPart",
    "ModelFile",
    "TensorInfo",
    "TensorSpec",
    "hash_rows",
    "header_bytes",
]
