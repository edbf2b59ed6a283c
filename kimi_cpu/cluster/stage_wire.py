"""Messages between the stages of a model and their driver, as bytes: a head of numbers, and arrays as in memory."""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct, error
from typing import NamedTuple

import numpy as np

from ..errors import KimiError
from ..model import ForwardBatch

HEAD = Struct("<Bqqq")  # kind, and up to three numbers
SIZES = Struct("<5q")  # T, S, B, N, decode sequences


class Kind(IntEnum):
    """The kinds of messages. From the driver to each stage: STEP to RELEASE; from it: PAGE, FAILED; from each stage to
    the next one, and from the last to the driver: ROWS, ENDED, UNREADABLE."""

    STEP = 1  # (number, 0, 0), a batch
    STOP = 2  # (number, 0, 0): that step is not wanted any more
    READ = 3  # (page, 0, 0)
    WRITE = 4  # (page, 0, 0), its content
    COPY = 5  # (source, target, 0)
    RELEASE = 6  # no step comes: the memory of activations and cache is not needed
    PAGE = 7  # (page, 0, 0), its content
    FAILED = 8  # why: the stage has ended
    ROWS = 9  # (number, rows, columns), f32: hidden values of a step, or its logits
    ENDED = 10  # (number, 0, 0): the step was stopped
    UNREADABLE = 11  # (number, 0, 0), why: weights that it needs cannot be read


class Message(NamedTuple):
    """A message. body: of kinds that have one."""

    kind: Kind
    numbers: tuple[int, int, int]
    body: memoryview

    @property
    def text(self) -> str:
        """The body as text."""
        return bytes(self.body).decode(errors="replace")


class Misfit(KimiError):
    """What came is none of these messages."""


def parsed(data: bytes) -> Message:
    """Misfit."""
    try:
        kind, first, second, third = HEAD.unpack_from(data)
        return Message(Kind(kind), (first, second, third), memoryview(data)[HEAD.size :])
    except (error, ValueError) as e:
        raise Misfit(f"A message of {len(data)} bytes is none that stages send ({e}).") from e


def head(kind: Kind, *numbers: int) -> bytes:
    """A message without a body, or what one with a body begins with."""
    return HEAD.pack(kind, *numbers, *(0,) * (3 - len(numbers)))


def packed_step(number: int, batch: ForwardBatch) -> bytes:
    """A message of kind STEP."""
    sequences, blocks = batch.block_tables.shape
    tokens, outputs = len(batch.token_ids), len(batch.logits_indices)
    layout, values = _layout(tokens, sequences, blocks, outputs), batch[:-1]
    arrays = [np.ascontiguousarray(array, dtype) for array, (dtype, _) in zip(values, layout, strict=True)]
    sizes = SIZES.pack(tokens, sequences, blocks, outputs, batch.num_decode_seqs)
    return b"".join((head(Kind.STEP, number), sizes, *arrays))


def unpacked_step(body: memoryview) -> ForwardBatch:
    """The batch of a message. Misfit."""
    try:
        tokens, sequences, blocks, outputs, num_decode = SIZES.unpack_from(body)
        arrays, at = list[np.ndarray](), SIZES.size
        for dtype, shape in _layout(tokens, sequences, blocks, outputs):
            count = int(np.prod(shape))
            arrays.append(np.frombuffer(body, dtype, count, at).reshape(shape))
            at += count * dtype.itemsize
    except (error, ValueError) as e:
        raise Misfit(f"A step of {len(body)} bytes is not what it says ({e}).") from e
    if at != len(body):
        raise Misfit(f"A step of {len(body)} bytes should have {at}.")
    return ForwardBatch._make([*arrays, num_decode])


def _layout(tokens: int, sequences: int, blocks: int, outputs: int) -> Iterator[tuple[np.dtype, tuple[int, ...]]]:
    """Types and shapes of a batch's arrays."""
    i32, i64 = np.dtype("<i4"), np.dtype("<i8")
    yield from ((i32, (tokens,)), (i32, (tokens,)), (i64, (tokens,)), (i32, (sequences, blocks)))
    yield from ((i32, (sequences + 1,)), (i32, (sequences,)), (i64, (outputs,)))


def rows_of(message: Message, rows: int, columns: int) -> np.ndarray:
    """f32[rows, columns] of a message of kind ROWS. Misfit: it has others."""
    if message.numbers[1:] != (rows, columns) or len(message.body) != 4 * rows * columns:
        raise Misfit(f"{len(message.body)} bytes are not {rows} rows of {columns} numbers.")
    return np.frombuffer(message.body, "<f4").reshape(rows, columns)
