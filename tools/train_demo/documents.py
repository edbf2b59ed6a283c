"""Examples as ids, with the package's own tokenizer.

A cache is one uint16 array of ids, one bool array of which count, and where each document ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kimi_cpu.tokenizer import Tokenizer

from .curriculum import Example
from .network import Groups
from .rendering import spans

STEP = 32  # documents are padded to a multiple of so many tokens


def encode(example: Example, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """(ids, whether each counts)."""
    ids, counted = [], []
    for text, counts in spans(example):
        part = tokenizer.encode(text)
        ids += part
        counted += [counts] * len(part)
    return ids, counted


def write(examples: Iterable[Example], tokenizer: Tokenizer, path: Path, longest: int) -> None:
    """A cache of examples; those with more than `longest` tokens are left out."""
    ids, counted, ends, total = [], [], [], 0
    for example in examples:
        document, counts = encode(example, tokenizer)
        if len(document) <= longest:
            total += len(document)
            ids.append(np.array(document, np.uint16))
            counted.append(np.array(counts))
            ends.append(total)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, ids=np.concatenate(ids), counted=np.concatenate(counted), ends=np.array(ends))
    temporary.rename(path)


@dataclass
class Batch:
    """ids, targets i64[N] (-1: does not count), and how the documents lie in them."""

    ids: torch.Tensor
    targets: torch.Tensor
    groups: Groups

    @property
    def counted(self) -> int:
        return int((self.targets >= 0).sum())


def batch(documents: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """Documents (ids, counted) as one batch, padded to common lengths."""
    by_length: dict[int, list] = {}
    for document in documents:
        by_length.setdefault(-(-len(document[0]) // STEP) * STEP, []).append(document)
    groups, ids, targets = [], [], []
    for length in sorted(by_length):
        groups.append((len(by_length[length]), length))
        for document, counted in by_length[length]:
            row = np.zeros(length, np.int64)
            row[: len(document)] = document
            target = np.full(length, -1, np.int64)
            target[: len(document) - 1] = np.where(counted[1:], document[1:].astype(np.int64), -1)
            ids.append(row)
            targets.append(target)
    return Batch(torch.from_numpy(np.concatenate(ids)), torch.from_numpy(np.concatenate(targets)), groups)


def batch_of(examples: Iterable[Example], tokenizer: Tokenizer) -> Batch:
    """Examples as one batch."""
    return batch([(np.array(ids), np.array(counted)) for ids, counted in (encode(e, tokenizer) for e in examples)])


class Cache:
    """Documents of a cache in a shuffled order; each of some processes sees another share."""

    def __init__(self, path: Path, seed: int, rank: int, processes: int):
        with np.load(path) as stored:
            self.ids, self.counted, ends = stored["ids"], stored["counted"], stored["ends"]
        self.starts = np.concatenate(([0], ends))
        self.order = np.random.default_rng(seed).permutation(len(ends))[rank::processes]
        self.at = 0

    def next(self, tokens: int) -> Batch:
        """A batch of about so many tokens."""
        chosen, total = [], 0
        while total < tokens:
            i = self.order[self.at % len(self.order)]
            self.at += 1
            a, b = self.starts[i], self.starts[i + 1]
            chosen.append((self.ids[a:b], self.counted[a:b]))
            total += b - a
        return batch(chosen)
