"""The head of the file: metadata and tensor table, as the gguf package writes them."""

import io
from typing import Any

import gguf
import numpy as np
from gguf.gguf_writer import WriterState

from .layout import ALIGNMENT, TensorSpec, aligned

_ADD = {str: "add_string", bool: "add_bool", int: "add_uint32", float: "add_float32"}


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
    head = writer.fout[0].getvalue()
    head = head.ljust(aligned(len(head)), b"\0")
    offsets, at = [], len(head)
    for spec in specs:
        offsets.append(at)
        at = aligned(at + spec.nbytes)
    return head, offsets


class _InMemory(gguf.GGUFWriter):
    """The package's writer with memory in place of files: a container may have no place for temporary ones."""

    def open_output_file(self, path=None) -> None:
        self.fout, self.state = [io.BytesIO()], WriterState.EMPTY
