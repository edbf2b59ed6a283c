"""What crosses between hosts, and what nobody sends."""

import json

import pytest

from kimi_cpu.batch.model import Answered, Failed, Grown, Lost, Tokens
from kimi_cpu.batch.results import Failure
from kimi_cpu.batch.source import CHAT, Question
from kimi_cpu.cluster import wire

KEY = b"0123456789abcdef"
EVENTS = [
    Grown(KEY, [1, 2, 163839], resumable=False),
    Grown(KEY, []),
    Answered(KEY, {"choices": [{"text": "\ud83e \0 é", "logprob": -1e-07}], "usage": None}, Tokens(3, 2, 1)),
    Failed(KEY, Failure("It is no number.", None, "top_p")),
    Failed(KEY, Failure("NaN", "internal_error", status=500)),
]


def test_questions_and_events_arrive_as_they_were():
    question = Question(KEY, "q\ud800", CHAT, {"messages": [], "temperature": 0.1, "seed": 2**63})
    start = wire.Start(9, question, [1, 2])
    together = json.loads(wire.pack_together([wire.pack_start(start), wire.pack_withdrawal(7)]))
    assert [wire.order_of(message) for message in together] == [start, 7]
    assert wire.unpack_events(wire.pack_events((7, event) for event in EVENTS), {7: KEY}) == EVENTS


def test_events_of_an_answer_that_was_withdrawn_are_left_out():
    told = wire.pack_events([(1, Grown(KEY, [5])), (2, Grown(KEY, [6]))])
    assert wire.unpack_events(told, {2: KEY}) == [Grown(KEY, [6])]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95",  # a pickle begins so
        b"[]",
        b"{}",
        b'{"events": [[7]]}',
        b'{"events": [[7, "Grown", [1.5], true]]}',
        b'{"events": [[7, "Grown", [1], 1]]}',
        b'{"events": [[7, "Answered", [], [1, 2, 3]]]}',
        b'{"events": [[7, "Failed", ["why", null, null, "400"]]]}',
        b'{"events": [[7, "Lost", 1]]}',
    ],
)
def test_whoever_sends_anything_else_is_lost(data):
    with pytest.raises(Lost, match="no engine says"):
        wire.unpack_events(data, {7: KEY})


def test_dead_engine_says_why():
    with pytest.raises(Lost, match="The disk has failed"):
        wire.unpack_events(wire.pack_lost("The disk has failed."), {})


def test_facts_arrive_and_refusals_are_raised():
    facts, loaded = wire.Facts("p", "w", "avx2"), wire.Loaded(4711, {"model": "m"}, ["Little memory."])
    assert (wire.unpack_facts(wire.pack(facts)), wire.unpack_loaded(wire.pack(loaded))) == (facts, loaded)
    for unpack in (wire.unpack_facts, wire.unpack_loaded):
        with pytest.raises(wire.Refused, match="no such file"):
            unpack(wire.pack_refusal("k2.gguf: no such file"))
    assert json.loads(wire.pack(facts))["tier"] == "avx2"
