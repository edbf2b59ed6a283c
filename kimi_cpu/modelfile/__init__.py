"""The one file: GGUF v3 with packed tensors, read as views and written in place. docs/format.md draws it."""

from .header import header_bytes
from .layout import ARCHITECTURE, HASHES, TensorSpec, hash_rows
from .reader import ExpertPart, ModelFile, TensorInfo

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
