"""Where everything of a planned file will lie: its header, its tensors, and so its size."""

from typing import NamedTuple

from ..modelfile import HASHES, TensorSpec, hash_rows, header_bytes
from ..modelfile.layout import ARCHITECTURE
from .jobs import Output, Plan


class Placement(NamedTuple):
    """head: all bytes before the first tensor. offsets: of each output, in bytes. hashed: the last output, which the
    plan does not have, holds the SHA-256s of the others."""

    head: bytes
    outputs: list[Output]
    offsets: list[int]
    hashed: bool

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return self.offsets[-1] + self.outputs[-1].spec.nbytes


def place(plan: Plan) -> Placement:
    """The file of a plan."""
    hashed = plan.architecture == ARCHITECTURE  # llama.cpp refuses tensors that it does not know
    outputs = [*plan.outputs, _hashes(plan.outputs)] if hashed else plan.outputs
    head, offsets = header_bytes(plan.architecture, plan.metadata, [output.spec for output in outputs])
    return Placement(head, outputs, offsets, hashed)


def _hashes(outputs: list[Output]) -> Output:
    num_rows = len(hash_rows((o.spec.name, o.spec.shape) for o in outputs)) + 1
    return Output(TensorSpec(HASHES, "I8", (num_rows, 32), 32 * num_rows), ())
