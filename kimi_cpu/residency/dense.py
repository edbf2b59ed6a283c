"""The weights outside the routed experts, which every token reads: from the file to memory once, when it is opened."""

from collections.abc import Callable, Iterator

import numpy as np

from ..modelfile import HASHES, ModelFile, TensorInfo
from ..modelfile.layout import EXPERTS_SUFFIX, aligned
from .memory import anonymous
from .reading import Reads

PIECE = 16 << 20  # bytes of a read

Progress = Callable[[int, int], None]  # (bytes there, bytes in all)


def read_dense(file: ModelFile, reads: Reads, progress: Progress | None = None) -> None:
    """Reads these weights to memory, which the file's views of them are of from then on.

    progress: told as they come; what it raises ends the reading. OutOfMemory, ModelFileError.
    """
    runs = list(_runs(file))
    lengths = [aligned(run[-1].offset + run[-1].nbytes) - run[0].offset for run in runs]
    memory = np.frombuffer(anonymous(sum(lengths)), np.uint8)
    begin, rooms = 0, dict[int, np.ndarray]()
    for run, length in zip(runs, lengths, strict=True):
        room, start = memory[begin : begin + length], run[0].offset
        for tensor in run:
            at = tensor.offset - start
            file.keep(tensor.name, room[at : at + tensor.nbytes])
        rooms |= {start + at: room[at : at + PIECE] for at in range(0, length, PIECE)}
        begin += length
    try:
        for offset, room in rooms.items():
            reads.ask(offset, offset, room)
        _wait(reads, rooms, progress)
    except BaseException:
        reads.withdraw()
        raise


def _wait(reads: Reads, rooms: dict[int, np.ndarray], progress: Progress | None) -> None:
    """Until all are read."""
    left, total, done = len(rooms), sum(map(len, rooms.values())), 0
    while left:
        for read in reads.wait(1.0):
            if read.error is not None:
                raise read.error
            left -= 1
            done += len(rooms[read.key])
        if progress is not None:
            progress(done, total)


def _runs(file: ModelFile) -> Iterator[list[TensorInfo]]:
    """The tensors, in runs of those that follow one another in the file."""
    run: list[TensorInfo] = []
    for tensor in file.tensors.values():
        is_dense = not tensor.name.endswith(EXPERTS_SUFFIX) and not tensor.name.startswith("tokenizer.")
        if is_dense and tensor.name != HASHES:
            run.append(tensor)
        elif run:
            yield run
            run = []
    if run:
        yield run
