"""Training data without end, made by processes beside the training."""

import multiprocessing
from collections.abc import Iterator
from itertools import islice
from queue import Empty

import torch

from kimi_cpu.tokenizer import Tokenizer

from . import recipe
from .curriculum import make
from .documents import Batch, batches, encode, of_tensors
from .phrasing import apart

AHEAD = 8  # batches that a process makes before they are asked for
LOOK_S = 10  # after which a process that gives nothing is looked at
ENDLESS = 1 << 60


class Stream:
    """The batches of a phase. Number i is of process i % recipe.STREAMS, whoever is quicker; each process begins anew
    with a seed of its own after recipe.PART batches, so that a training can go on from such a place."""

    def __init__(self, phase: recipe.Phase, tokenizer: Tokenizer, begin: int = 0):
        """begin: the number of the first batch, a multiple of STREAMS * PART."""
        context = multiprocessing.get_context("fork")  # what is imported and learned need not be again
        part = begin // (recipe.STREAMS * recipe.PART)
        self._queues = [context.Queue(AHEAD) for _ in range(recipe.STREAMS)]
        self._processes = [
            context.Process(target=_fill, args=(queue, phase, stream, part, tokenizer), daemon=True)
            for stream, queue in enumerate(self._queues)
        ]
        for process in self._processes:
            process.start()
        self._at = begin

    def __next__(self) -> Batch:
        stream = self._at % recipe.STREAMS
        self._at += 1
        while True:
            try:
                return of_tensors(map(torch.from_numpy, self._queues[stream].get(timeout=LOOK_S)), recipe.LONGEST)
            except Empty:
                if not self._processes[stream].is_alive():
                    raise RuntimeError("A process that makes training data has ended; it says why above.") from None

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.terminate()
            process.join()


def _fill(queue, phase: recipe.Phase, stream: int, part: int, tokenizer: Tokenizer) -> None:
    while True:
        for batch in _part(phase, stream, part, tokenizer):
            queue.put([t.numpy() for t in batch.tensors])
        part += 1


def _part(phase: recipe.Phase, stream: int, part: int, tokenizer: Tokenizer) -> Iterator[Batch]:
    examples = apart(make(phase.mix, f"{phase.seed} {stream} {part}", ENDLESS))
    made = batches((encode(e, tokenizer) for e in examples), recipe.TOKENS, recipe.DOCUMENTS, recipe.LONGEST)
    return islice(made, recipe.PART)
