"""What crosses between a server and its engines, and what nobody sends."""

import json
from pathlib import Path

import numpy as np
import pytest

from kimi_cpu.batch.model import Lost
from kimi_cpu.cluster import replica_wire, wire
from kimi_cpu.cluster.replica_wire import Output
from kimi_cpu.engine import EngineState, Kind, Request, Sampling, TokenLogprob
from kimi_cpu.engine.request import ABSORBED, EXPANDED
from kimi_cpu.errors import ModelFileError
from kimi_cpu.llm.vocabulary import Vocabulary
from kimi_cpu.residency import ExpertsState, Figures

VOCABULARY = Vocabulary(Path("k2.gguf"), 163840, None, frozenset())
STATE = EngineState(3, 1, 64, 12)
OUTPUTS = [
    Output(7, num_computed=512, num_cached=64),
    Output(7, 163839, None, TokenLogprob(163839, -1e-07, ((5, -0.5), (6, -700.0))), 513, 64, 1),
    Output(8, 5, "stop", None, 9, 0, 3, "repetition", ("A schema was not kept.",)),
]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(seed=5, temperature=0.1, top_k=3, logit_bias={7: -3.5}, logprobs=2, stop=("a",)),
        Sampling(seed=-1, max_tokens=9, ignore_eos=True, repetition_detection={"min_count": 3, "max_pattern_size": 4}),
    ],
    ids=["default", "bias", "repetition"],
)
def test_request_arrives_as_it_was_with_its_seed_and_what_is_known_of_its_answer(sampling):
    forms = np.array([ABSORBED, EXPANDED] * 40, np.uint8)
    sent = Request([5, 163839] * 40, sampling, 30, stop_ids=frozenset({3, 1}), forms=forms, tail=3)
    sent.output_ids = [8, 9]
    said, *values = json.loads(replica_wire.pack_request(9, sent, 4))
    order = replica_wire.Order(*values)
    assert said == replica_wire.Say.START
    came = order.request(VOCABULARY, None)
    assert (order.ticket, order.parent, order.is_slow, came.kind) == (9, 4, False, Kind.ANSWER)
    for name in ("output_ids", "max_tokens", "stop_ids", "seed"):
        assert getattr(came, name) == getattr(sent, name)
    for one, other in zip(came.tokens(0, 82), sent.tokens(0, 82), strict=True):
        assert np.array_equal(one, other)
    names = ("temperature", "top_k", "logit_bias", "logprobs", "ignore_eos", "repetition_detection")
    assert [getattr(came.sampling, name) for name in names] == [getattr(sampling, name) for name in names]


def test_outputs_arrive_as_they_were():
    experts = ExpertsState(6, 8, 100, 75, 2**40, Figures(0.5, 0.75))
    for one in (None, experts, experts._replace(recent=None)):
        told = replica_wire.unpack_outputs(replica_wire.pack_outputs(OUTPUTS, STATE, one))
        assert told == (OUTPUTS, STATE, one)
    (failed,) = replica_wire.unpack_outputs(
        replica_wire.pack_outputs([replica_wire.output_of(7, ModelFileError("k2.gguf is cut short."))], STATE, None)
    ).outputs
    assert failed.ticket == 7 and type(failed.error) is ModelFileError and "cut short" in str(failed.error)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",  # a pickle begins so
        b"[]",
        b"{}",
        b'{"outputs": [], "state": [1, 2, 3], "experts": null}',
        b'{"outputs": [], "state": [1, 2, 3, "4"], "experts": null}',
        b'{"outputs": [], "state": [1, 2, 3, 4], "experts": [1]}',
        b'{"outputs": [[7]], "state": [1, 2, 3, 4], "experts": null}',
        b'{"outputs": [[7, 1.5, null, null, 1, 1, 1, null, [], null]], "state": [1, 2, 3, 4], "experts": null}',
        b'{"outputs": [[7, 1, null, null, 1, 1, 1, null, [], [1]]], "state": [1, 2, 3, 4], "experts": null}',
    ],
)
def test_whoever_sends_anything_else_is_lost(data):
    with pytest.raises(Lost, match="no engine says"):
        replica_wire.unpack_outputs(data)


def test_dead_engine_says_why():
    with pytest.raises(Lost, match="The disk has failed"):
        replica_wire.unpack_outputs(wire.pack_lost("The disk has failed."))
