"""A long step cut into pieces that follow one another through the stages of a model."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .workspace import ForwardBatch


class Piece(NamedTuple):
    """Some tokens of a step. batch: theirs. outputs: i64[n], which rows of the step's logits its n rows are."""

    batch: ForwardBatch
    outputs: np.ndarray


class _Run(NamedTuple):
    """The rows [begin, end) of a step, all of one sequence."""

    sequence: int
    begin: int
    end: int


def pieces(batch: ForwardBatch, max_tokens: int) -> list[Piece]:
    """A step as pieces of at most so many tokens, as long as each other, to be computed in this order: the latents that
    a token attends to are those of its own piece and of those before it. Together they have the step's bits.
    """
    num_tokens = len(batch.token_ids)
    if num_tokens <= max_tokens:
        return [Piece(batch, np.arange(len(batch.logits_indices)))]
    count = -(-num_tokens // max_tokens)
    return [_piece(batch, runs) for runs in _cut(batch, -(-num_tokens // count))]


def _cut(batch: ForwardBatch, max_tokens: int) -> Iterator[list[_Run]]:
    """The rows of a step, request by request, each in the order of its tokens.

    A request may have several sequences, of tokens in both forms: those of one request have the same table, those of
    two have not, since each writes a page of its own.
    """
    starts = batch.query_start_loc
    requests = np.unique(batch.block_tables, axis=0, return_inverse=True)[1].reshape(-1)
    runs, room = list[_Run](), max_tokens
    for sequence in np.lexsort((batch.positions[starts[:-1]], requests)).tolist():
        begin, end = starts[sequence : sequence + 2].tolist()
        while begin < end:
            count = min(room, end - begin)
            runs.append(_Run(sequence, begin, begin + count))
            begin, room = begin + count, room - count
            if not room:
                yield runs
                runs, room = [], max_tokens
    if runs:
        yield runs


def _piece(batch: ForwardBatch, runs: list[_Run]) -> Piece:
    decode = [run for run in runs if run.sequence < batch.num_decode_seqs]
    runs = decode + [run for run in runs if run.sequence >= batch.num_decode_seqs]
    sequences = [run.sequence for run in runs]
    rows = np.concatenate([np.arange(run.begin, run.end) for run in runs])
    missing = [batch.query_start_loc[run.sequence + 1] - run.end for run in runs]  # tokens that come later
    places = np.full(len(batch.token_ids), -1, np.int64)
    places[rows] = np.arange(len(rows))
    wanted = places[batch.logits_indices]
    is_here = wanted >= 0
    part = ForwardBatch(
        token_ids=batch.token_ids[rows],
        positions=batch.positions[rows],
        slot_mapping=batch.slot_mapping[rows],
        block_tables=batch.block_tables[sequences],
        query_start_loc=np.cumsum([0, *(run.end - run.begin for run in runs)], dtype=np.int32),
        seq_lens=(batch.seq_lens[sequences] - missing).astype(np.int32),
        logits_indices=wanted[is_here],
        num_decode_seqs=len(decode),
    )
    return Piece(part, np.flatnonzero(is_here))
