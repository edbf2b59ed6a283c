"""The argument of the forward pass: the tokens of one step and where their keys and values lie."""

from typing import NamedTuple

import numpy as np


class ForwardBatch(NamedTuple):
    """T tokens of S sequences. Decode sequences come first and have one token each.

    The form of attention belongs to the token: generated tokens and the last of a prompt (decode sequences) use the
    absorbed form, a prompt's others the expanded one, whatever the length of the chunk; so a chunk's size cannot
    change a result.
    """

    token_ids: np.ndarray  # i32[T]
    positions: np.ndarray  # i32[T]
    slot_mapping: np.ndarray  # i64[T], page * PAGE_TOKENS + offset
    block_tables: np.ndarray  # i32[S, B], pages of each sequence in order
    query_start_loc: np.ndarray  # i32[S + 1], first row of each sequence
    seq_lens: np.ndarray  # i32[S], tokens of each sequence, those of this step included
    logits_indices: np.ndarray  # i32[N], the rows whose logits are wanted
    num_decode_seqs: int
