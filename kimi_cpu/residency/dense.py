"""The weights outside the routed experts, which every token reads: from the file to memory once, when it is opened."""

from collections.abc import Callable, Iterator

import numpy as np

from ..modelfile import ModelFile, TensorInfo
from ..modelfile.layout import EXPERTS_SUFFIX, aligned
from .memory import anonymous, give_back
from .reading import Reads

PIECE = 16 << 20  # bytes of a read

Progress = Callable[[int, int], None]  # (bytes there, bytes in all)


class DenseWeights:
    """Memory for these weights, which the file's views of them are of. It holds them once they are read."""

    def __init__(self, file: ModelFile, reads: Reads, layers: range | None = None):
        """layers: by default all. OutOfMemory."""
        runs = list(_runs(file, file.config.layers if layers is None else layers))
        lengths = [aligned(run[-1].offset + run[-1].nbytes) - run[0].offset for run in runs]
        self._reads, self._asked = reads, set[int]()
        self._memory = anonymous(sum(lengths))
        memory = np.frombuffer(self._memory, np.uint8)
        self._rooms: dict[int, np.ndarray] = {}  # by offset in the file
        begin = 0
        for run, length in zip(runs, lengths, strict=True):
            room, start = memory[begin : begin + length], run[0].offset
            for tensor in run:
                at = tensor.offset - start
                file.keep(tensor.name, room[at : at + tensor.nbytes])
            self._rooms |= {start + at: room[at : at + PIECE] for at in range(0, length, PIECE)}
            begin += length

    def read(self, progress: Progress | None = None) -> None:
        """Reads them. progress: told as they come; what it raises ends the reading. ModelFileError."""
        while self._asked:  # by a reading that was ended
            self._take()
        try:
            for offset, room in self._rooms.items():
                self._asked.add(offset)
                self._reads.ask(offset, offset, room)
            total = sum(map(len, self._rooms.values()))
            while self._asked:
                if (error := self._take()) is not None:
                    raise error
                if progress is not None:
                    progress(total - sum(len(self._rooms[offset]) for offset in self._asked), total)
        except BaseException:
            self._asked.difference_update(self._reads.withdraw())
            raise

    def release(self) -> None:
        """Gives the memory back; the weights are zeros until they are read again."""
        give_back(self._memory)

    def _take(self) -> BaseException | None:
        """Waits for some reads to end; the error of one that failed."""
        ended = self._reads.wait(1.0)
        self._asked.difference_update(read.key for read in ended)
        return next((read.error for read in ended if read.error is not None), None)


def _runs(file: ModelFile, layers: range) -> Iterator[list[TensorInfo]]:
    """The tensors of some layers, in runs of those that follow one another in the file."""
    run: list[TensorInfo] = []
    part = {tensor.name for tensor in file.part(layers)}
    for tensor in file.tensors.values():
        if tensor.name in part and not tensor.name.endswith(EXPERTS_SUFFIX):
            run.append(tensor)
        elif run:
            yield run
            run = []
    if run:
        yield run
