"""Steps of a model without an engine: prompts in chunks, then greedy tokens, several sequences at once."""

from contextlib import contextmanager

import numpy as np

from kimi_cpu.model import PAGE_TOKENS, ForwardBatch, Kimi, KVCache
from kimi_cpu.model.weights import bind
from kimi_cpu.modelfile import ModelFile

PAGES = 8  # of a sequence
PROMPTS = [[(n * i) % 90 + 3 for i in range(length)] for n, length in ((1, 90), (3, 37), (2, 1))]


class Watching:
    """Lets everything run, or sets the flag before a layer, as another thread would within it."""

    def __init__(self, stop_at=None):
        self.stop, self.stop_at = np.zeros(1, np.int64), stop_at

    def __call__(self, done, total):
        self.stop[0] |= done == self.stop_at
        return False


def alone(model):
    """The model's forward pass as a function of a batch, which nobody ends."""
    return lambda batch: model.forward(batch, Watching())


def generate(forward, chunk, count, prompts=PROMPTS):
    """(ids of each sequence, logits of every step) of `forward(batch)`; `chunk` tokens of each prompt a step."""
    sequences, done, kept = [list(p) for p in prompts], [0] * len(prompts), []
    while any(len(ids) < len(p) + count for ids, p in zip(sequences, prompts, strict=True)):
        decode = [s for s, ids in enumerate(sequences) if len(ids) - done[s] == 1]
        others = [s for s in range(len(sequences)) if s not in decode]
        ends = {s: min(done[s] + chunk, len(sequences[s]) - (s in others)) for s in (*decode, *others)}
        kept.append(forward(batch(sequences, done, ends, len(decode))))
        done = [ends[s] for s in range(len(sequences))]
        for s, row in zip(decode, kept[-1], strict=True):
            sequences[s].append(int(row.argmax()))
    return sequences, kept


def batch(sequences, begins, ends, num_decode):
    """Tokens begins[s]..ends[s]-1 of the sequences in `ends`, those that decode first."""
    positions = [np.arange(begins[s], end) for s, end in ends.items()]
    ids = [sequences[s][begins[s] : end] for s, end in ends.items()]
    slots = [s * PAGES * PAGE_TOKENS + where for s, where in zip(ends, positions, strict=True)]
    return ForwardBatch(
        token_ids=np.concatenate(ids).astype(np.int32),
        positions=np.concatenate(positions).astype(np.int32),
        slot_mapping=np.concatenate(slots).astype(np.int64),
        block_tables=np.array([np.arange(s * PAGES, (s + 1) * PAGES) for s in ends], np.int32),
        query_start_loc=np.concatenate([[0], np.cumsum([len(p) for p in positions])]).astype(np.int32),
        seq_lens=np.array([*ends.values()], np.int32),
        logits_indices=np.arange(num_decode, dtype=np.int32),
        num_decode_seqs=num_decode,
    )


@contextmanager
def opened(path):
    """make(int8, kv, layers, residency), with weights of its own, of a model file."""
    with ModelFile.open(path) as file:
        c = file.config

        def make(int8=True, kv="f16", layers=c.layers, residency=None):
            weights = bind(file, layers)
            cache = KVCache(kv, PAGES * len(PROMPTS), len(weights.layers), c.kv_lora_rank, c.qk_rope_head_dim)
            who = residency and residency(weights)
            return Kimi(c, weights, cache, 128, int8, layers, who)

        yield make


def assert_same(found, expected):
    """Ids, and every bit of the logits."""
    assert found[0] == expected[0]
    assert all(np.array_equal(a.view(np.uint32), b.view(np.uint32)) for a, b in zip(found[1], expected[1], strict=True))
