"""Examples as ids, with the package's own tokenizer, and many of them as one batch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from kimi_cpu.tokenizer import Tokenizer

from .curriculum import Example
from .network import Documents
from .rendering import spans

Encoded = tuple[list[int], list[bool]]  # ids, and whether each counts


@dataclass
class Batch:
    """ids, targets i64[N] (-1: does not count), and how the documents lie in them."""

    ids: torch.Tensor
    targets: torch.Tensor
    documents: Documents

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All that there is in it but the longest document's length."""
        return self.ids, self.targets, self.documents.positions, self.documents.begins

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return of_tensors([t.to(device) for t in self.tensors], self.documents.longest)

    def copy_(self, other: "Batch") -> None:
        """Takes over another batch of the same size, of the host; the host does not wait for a GPU that copies it."""
        for mine, others in zip(self.tensors, other.tensors, strict=True):
            mine.copy_(others.pin_memory() if mine.is_cuda else others, non_blocking=True)


def of_tensors(tensors: Iterable[torch.Tensor], longest: int) -> Batch:
    """The batch of its tensors."""
    ids, targets, positions, begins = tensors
    return Batch(ids, targets, Documents(positions, begins, longest))


def encode(example: Example, tokenizer: Tokenizer) -> Encoded:
    """An example's ids, and whether each counts."""
    ids, counted = [], []
    for text, counts in spans(example):
        part = tokenizer.encode(text)
        ids += part
        counted += [counts] * len(part)
    return ids, counted


def batch_of(documents: list[Encoded]) -> Batch:
    """Documents as one batch of just their size."""
    longest = max(len(ids) for ids, _ in documents)
    return _laid(documents, sum(len(ids) for ids, _ in documents), len(documents), longest)


def batches(documents: Iterable[Encoded], tokens: int, most: int, longest: int) -> Iterator[Batch]:
    """Batches of so many tokens and at most `most` documents of at most `longest` tokens; longer ones are left out."""
    chosen: list[Encoded] = []
    total = 0
    for document in documents:
        if len(document[0]) > longest:
            continue
        if total + len(document[0]) > tokens or len(chosen) == most:
            yield _laid(chosen, tokens, most + 1, longest)
            chosen, total = [], 0
        chosen.append(document)
        total += len(document[0])


def _laid(documents: list[Encoded], tokens: int, places: int, longest: int) -> Batch:
    """Documents side by side in so many tokens; what they leave is one more, of which nothing counts."""
    ids, targets, positions = np.zeros(tokens, np.int64), np.full(tokens, -1), np.zeros(tokens, np.int64)
    begins = np.full(places + 1, tokens, np.int32)
    at = 0
    for i, (document, counted) in enumerate(documents):
        end = at + len(document)
        ids[at:end] = document
        targets[at : end - 1] = np.where(counted[1:], document[1:], -1)
        positions[at:end] = np.arange(len(document))
        begins[i] = at
        at = end
    if at < tokens:
        begins[len(documents)] = at
        positions[at:] = np.arange(tokens - at)
    return of_tensors(map(torch.from_numpy, (ids, targets, positions, begins)), longest)
