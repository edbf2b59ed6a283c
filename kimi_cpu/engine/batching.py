"""Scheduled requests become the arrays of one forward pass. The only loops over requests."""

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ..model import PAGE_TOKENS, ForwardBatch
from .request import ABSORBED, Request
from .scheduler import Scheduled


class _Span(NamedTuple):
    """Consecutive tokens of one request that run in the same form; absorbed ones are spans of one token."""

    request: Request
    start: int
    ids: list[int]
    form: int


def forward_batch(step: list[Scheduled]) -> tuple[ForwardBatch, list[Request]]:
    """Arrays of a step, and the request of each row of logits: of the last token and drafts where one is to be drawn,
    or of all."""
    spans = [span for scheduled in step for span in _spans(scheduled)]
    spans.sort(key=lambda s: s.form != ABSORBED)  # stable: decode rows come first
    starts = [0, *accumulate(len(s.ids) for s in spans)]
    tables = np.zeros((len(spans), max(len(s.request.block_table) for s in spans)), np.int32)
    ids, positions, slots, wanted, owners = [], [], [], [], []
    in_order = sorted(zip(spans, starts[:-1], strict=True), key=lambda s: s[0].start)
    for span, start in in_order:  # a request's rows come in the order of its tokens, whatever form they have
        rows = range(start, start + len(span.ids))
        rows = rows if span.request.logits else rows[-1:] if _draws(span) else ()
        wanted.extend(rows)
        owners.extend([span.request] * len(rows))
    for row, span in enumerate(spans):
        table, where = span.request.block_table, range(span.start, span.start + len(span.ids))
        tables[row, : len(table)] = table
        ids += span.ids
        positions += where
        slots += [table[at // PAGE_TOKENS] * PAGE_TOKENS + at % PAGE_TOKENS for at in where]
    batch = ForwardBatch(
        token_ids=np.asarray(ids, np.int32),
        positions=np.asarray(positions, np.int32),
        slot_mapping=np.asarray(slots, np.int64),
        block_tables=tables,
        query_start_loc=np.asarray(starts, np.int32),
        seq_lens=np.asarray([s.start + len(s.ids) for s in spans], np.int32),
        logits_indices=np.asarray(wanted, np.int64),
        num_decode_seqs=sum(s.form == ABSORBED for s in spans),
    )
    return batch, owners


def _spans(scheduled: Scheduled) -> list[_Span]:
    request, count, draft_ids = scheduled
    start = request.num_computed
    ids, forms = (part.tolist() for part in request.tokens(start, start + count))
    ids += draft_ids
    forms += [ABSORBED] * len(draft_ids)  # they are computed as the generated tokens that they may become
    cuts = [i for i in range(1, len(ids)) if forms[i] == ABSORBED or forms[i] != forms[i - 1]]
    edges = zip([0, *cuts], [*cuts, len(ids)], strict=True)
    return [_Span(request, start + a, ids[a:b], forms[a]) for a, b in edges]


def _draws(span: _Span) -> bool:
    """Whether a token may be drawn after this span: it ends with the request's last token or one that was drafted."""
    return span.request.max_tokens > 0 and span.start + len(span.ids) >= span.request.num_tokens
