"""A step cut into pieces has the bits of the step."""

import numpy as np
import pytest

from kimi_cpu.engine import Engine
from kimi_cpu.engine.scheduler import Scheduled, forward_batch
from kimi_cpu.model import PAGE_TOKENS
from kimi_cpu.model.pieces import pieces
from tests.engine.fake import FakeModel, expected, finish, greedy

from .steps import alone, assert_same, generate, opened


@pytest.mark.parametrize("max_tokens", [1, 5, 32])
def test_pieces_have_the_bits_of_the_step(tiny_file, max_tokens):
    with opened(tiny_file) as make:
        whole, cut = make(), alone(make())

        def in_pieces(batch):
            logits = np.zeros((len(batch.logits_indices), whole.vocab_size), np.float32)
            for piece in pieces(batch, max_tokens):
                logits[piece.outputs] = cut(piece.batch)
            return logits

        assert_same(generate(in_pieces, 64, 4), generate(alone(whole), 64, 4))


class InPieces(FakeModel):
    """Fills the cache piece by piece, and reads it as the step's own tokens find it."""

    def forward(self, batch, watch):
        found = pieces(batch, 7)
        assert sum(len(piece.batch.token_ids) for piece in found) == len(batch.token_ids)
        assert max(len(piece.batch.token_ids) for piece in found) <= 7
        logits = np.zeros((len(batch.logits_indices), self.vocab_size), np.float32)
        for piece in found:
            logits[piece.outputs] = super().forward(piece.batch, watch)
        return logits


def test_requests_with_tokens_in_both_forms_go_on_with_their_tokens():
    prompts = [list(range(2, 2 + n)) for n in (3, 90, 1, 130)]
    engine, requests = Engine(InPieces(64, 40), max_running=4), [greedy(p, 40) for p in prompts]
    for request in requests:
        engine.add(request)
    for _ in range(60):
        engine.step()
        if len(requests[-1].output_ids) == 9:
            engine.scheduler.preempt(engine.scheduler.running[-1])  # its answer is computed again, in the other form
    finish(engine, [])
    assert [r.output_ids for r in requests] == [expected(p, 40) for p in prompts]


def test_tokens_come_in_the_order_of_their_request_whatever_their_form():
    request = greedy(range(2, 2 + 2 * PAGE_TOKENS), 20)
    request.output_ids = [7, 8, 9]
    request.block_table = [5, 1, 4]
    batch = forward_batch([Scheduled(request, request.num_tokens)])[0]
    assert batch.num_decode_seqs > 1
    for max_tokens in (1, 3, 50):
        found = [piece.batch.positions for piece in pieces(batch, max_tokens)]
        for before, after in zip(found, found[1:], strict=False):
            assert before.max() < after.min()
