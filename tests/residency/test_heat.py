"""Uses of experts are counted as the router chose them, answers are the same, and a damaged file is told."""

import json

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu import kernels
from kimi_cpu.errors import ConfigError
from kimi_cpu.kernels.arrays import Routing, make_dispatch
from kimi_cpu.residency import heat
from tests.llm.test_memory import least


def test_each_token_counts_for_each_of_its_experts():
    rng = np.random.default_rng(0)
    routing, uses, ids = Routing(4, 1, 1, True, 1.0), heat.ExpertUses(3, 16, None), []
    x = np.zeros((20, 32), np.float32)
    dispatch = make_dispatch(20, 16, 4)
    for _ in range(3):
        x[:] = rng.standard_normal(x.shape)
        w, bias = rng.standard_normal((16, 32), np.float32), np.zeros(16, np.float32)
        kernels.route(x, w, bias, routing, dispatch)
        ((places, ready),) = uses.arrivals(1, dispatch, np.zeros(1, np.int64))
        assert len(places) == ready == dispatch.num_active[0]
        ids.append(dispatch.ids.copy())
    assert np.array_equal(uses.counts[1], np.bincount(np.ravel(ids), minlength=16))
    assert not uses.counts[[0, 2]].any()


def test_answers_are_the_same_when_experts_are_recorded(tiny_file):
    texts = []
    for options in ({}, {"record_experts": True}, {"record_experts": True, "memory": least(tiny_file, context=256)}):
        with kimi_cpu.load(tiny_file, context=256, **options) as llm:
            texts.append(llm.generate("abc", max_tokens=12, temperature=0, ignore_eos=True).token_ids)
            if options:
                counts, config = llm.expert_uses(), llm.config
            else:
                with pytest.raises(ConfigError, match="record_experts=True"):
                    llm.expert_uses()
    assert texts[0] == texts[1] == texts[2]
    is_moe = [config.is_moe_layer(layer) for layer in range(config.num_hidden_layers)]
    assert counts.sum(axis=1).tolist() == [moe * config.num_experts_per_tok * (3 + 11) for moe in is_moe]


def test_what_a_model_leaves_behind_is_found_by_its_next_run_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    left = np.zeros((5, 4), np.float32)
    left[2] = 0.25, 1 / 3, 0, 1e-9
    heat.keep("ab", np.zeros((5, 4), np.float32))
    assert not list(tmp_path.rglob("*.json")), "there was no use"
    heat.keep("ab", left)
    np.testing.assert_allclose(heat.kept("ab", 5, 4), left, rtol=1e-5)
    heat.keep("ab", left / 2)
    np.testing.assert_allclose(heat.kept("ab", 6, 4)[:5], left / 2, rtol=1e-5)
    assert not heat.kept("ab", 5, 3).any() and not heat.kept("cd", 5, 4).any()
    assert not heat.pinned("ab", 5, 4).any()


def test_the_most_used_share_is_pinned_until_none_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    counts = np.zeros((4, 10), np.int64)
    counts[1], counts[3] = np.arange(10), np.arange(10) * 3
    recorded = heat.Heat("ab", counts)
    assert heat.pin(recorded, 0.2) == 4, "a fifth of two layers' experts"
    assert np.argwhere(heat.pinned("ab", 4, 10)).tolist() == [[3, 6], [3, 7], [3, 8], [3, 9]]
    assert heat.pin(recorded, 1.0) == 18, "those that were never used are not"
    assert heat.pin(recorded, 0) == 0 and not heat.pinned("ab", 4, 10).any()
    assert not list(tmp_path.rglob("*.json"))


def document(**changes):
    return {"format": heat.FORMAT, "version": 1, "model": "ab", "layers": {"1": [0, 2], "3": [1, 1]}} | changes


def test_a_file_holds_what_was_counted(tmp_path):
    counts = np.zeros((5, 4), np.int64)
    counts[1], counts[4] = (1, 0, 2**40, 3), (0, 0, 0, 7)
    heat.Heat("ab", counts).save(tmp_path / "counts")
    read = heat.load(tmp_path / "counts")
    assert read.model == "ab" and read.layers == [1, 4]
    assert np.array_equal(read.counts, counts)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no counts of experts"),
        (b"\xff\xfe", "no counts of experts"),
        (b"[1]", "no counts of experts"),
        (b"[" * 100_000, "no counts of experts"),
        ({"format": "another"}, "no counts of experts"),
        (document(version=2), "version 2"),
        (document(model=3), "damaged"),
        (document(layers={}), "damaged"),
        (document(layers={"1": []}), "damaged"),
        (document(layers={"1": [1], "2": [1, 2]}), "damaged"),
        (document(layers={"1": [1, -1]}), "damaged"),
        (document(layers={"1": [1, float("nan")]}), "damaged"),
        (document(layers={"1": [1, 1e300]}), "damaged"),
        (document(layers={"1": [1, True]}), "damaged"),
        (document(layers={"1": [2**70]}), "damaged"),
        (document(layers={"-1": [1]}), "damaged"),
        (document(layers={"9" * 9: [1]}), "damaged"),
    ],
)
def test_a_file_of_something_else_is_told_in_a_sentence_and_never_written_over(tmp_path, content, told):
    path = tmp_path / "counts"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=told) as e:
        heat.load(path)
    assert str(path) in str(e.value)
    if before:
        with pytest.raises(ConfigError, match=told):
            heat.Heat("ab", np.ones((1, 2), np.int64)).save(path)
        assert path.read_bytes() == before
