"""Messages between stages come as they went, or are refused."""

import numpy as np
import pytest

from kimi_cpu.cluster import stage_wire as wire
from kimi_cpu.cluster.stage_wire import Kind, Misfit
from kimi_cpu.model import ForwardBatch

from ..model.steps import PROMPTS, batch


def step():
    return batch(PROMPTS, [5, 36, 0], {1: 37, 2: 1, 0: 60}, 2)


def test_steps_come_as_they_went():
    sent = step()
    message = wire.parsed(wire.packed_step(7, sent))
    assert (message.kind, message.numbers) == (Kind.STEP, (7, 0, 0))
    came = wire.unpacked_step(message.body)
    assert came.num_decode_seqs == sent.num_decode_seqs
    for name in ForwardBatch._fields[:-1]:
        assert np.array_equal(getattr(came, name), getattr(sent, name)), name


@pytest.mark.parametrize("cut", [1, 8, 100])
def test_steps_that_are_cut_or_longer_are_refused(cut):
    body = wire.parsed(wire.packed_step(7, step())).body
    for wrong in (body[:-cut], bytes(body) + bytes(cut)):
        with pytest.raises(Misfit):
            wire.unpacked_step(memoryview(wrong))


@pytest.mark.parametrize("sizes", [(-1, 1, 1, 1, 0), (1 << 62, 1, 1, 1, 0), (0, 1 << 40, 1 << 40, 0, 0)])
def test_steps_of_impossible_sizes_are_refused(sizes):
    with pytest.raises(Misfit):
        wire.unpacked_step(memoryview(wire.SIZES.pack(*sizes)))


@pytest.mark.parametrize("data", [b"", b"\1", bytes([99]) + bytes(24), b"pickle"])
def test_what_no_stage_sends_is_refused(data):
    with pytest.raises(Misfit, match="none that stages send"):
        wire.parsed(data)


def test_rows_have_the_shape_that_is_due():
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    data = wire.head(Kind.ROWS, 5, 3, 4) + rows.tobytes()
    assert np.array_equal(wire.rows_of(wire.parsed(data), 3, 4), rows)
    for shape in ((4, 3), (2, 4), (3, 5)):
        with pytest.raises(Misfit):
            wire.rows_of(wire.parsed(data), *shape)
    with pytest.raises(Misfit):
        wire.rows_of(wire.parsed(data[:-4]), 3, 4)
