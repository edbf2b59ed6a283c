"""Logits and greedy continuations equal transformers' own, on many configurations and in chunks of any size."""

from pathlib import Path

import numpy as np
import pytest

import kimi_cpu
from tests import tiny

STORED = Path(__file__).parents[1] / "data" / "logits"
MAX_ERROR = 1e-3  # of the range of the logits
NUM_TOKENS = 300

# INT4 inputs (hidden_size, moe_intermediate_size) are multiples of 32; every other width may be odd.
ODD = {
    "vocab_size": 151,
    "intermediate_size": 77,
    "num_attention_heads": 3,
    "kv_lora_rank": 29,
    "q_lora_rank": 37,
    "qk_nope_head_dim": 15,
    "qk_rope_head_dim": 6,
    "v_head_dim": 13,
    "n_routed_experts": 11,
    "num_experts_per_tok": 3,
}
CONFIGS = {
    "base": {},
    "odd widths": ODD,
    "five heads, one expert of seven": ODD
    | {"num_attention_heads": 5, "n_routed_experts": 7, "num_experts_per_tok": 1},
    "groups": {"n_group": 4, "topk_group": 2, "n_routed_experts": 16, "num_experts_per_tok": 4},
    "no q_lora": {"q_lora_rank": None},
    "no YaRN": {"rope_scaling": None},
    "mscale": {"rope_scaling": tiny.YARN | {"mscale": 0.7, "mscale_all_dim": 0.9, "beta_fast": 32.0}},
    "mscale without all_dim": {"rope_scaling": {k: v for k, v in tiny.YARN.items() if "mscale" not in k}},
    "two dense layers": {"first_k_dense_replace": 2},
    "two shared experts": {"n_shared_experts": 2, "norm_topk_prob": False},
    "tied embeddings": {"tie_word_embeddings": True},
    "half rotation": {"rope_interleave": False},
    "plain experts": {"experts": "bf16"},
}


def load_exact(path, **options):
    return kimi_cpu.load(path, compute="f32", kv="f32", **options)


def assert_close(found, expected):
    assert np.abs(found - expected).max() <= MAX_ERROR * np.ptp(expected)


@pytest.fixture(scope="session")
def stored():
    """ids, logits, prompts and greedy continuations of the tiny checkpoint, from transformers in float32."""
    return np.load(STORED / "base.npz")


@pytest.mark.parametrize("chunk", [1, 7, 64, 512])
def test_stored_logits_are_met_in_chunks_of_any_size(tiny_exact, stored, chunk):
    with load_exact(tiny_exact, chunk=chunk) as llm:
        assert_close(llm.logits(stored["ids"].tolist()), stored["logits"])


def test_stored_greedy_continuations_are_met(tiny_exact, stored):
    with load_exact(tiny_exact) as llm:
        for n in range(4):
            found = llm.generate(stored[f"prompt{n}"].tolist(), temperature=0, max_tokens=64, ignore_eos=True)
            assert found.token_ids == tuple(stored[f"greedy{n}"].tolist())


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_continuations_equal_the_oracles(tmp_path, name):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from . import oracle

    directory = tiny.make(tmp_path / "checkpoint", seed=len(name), **CONFIGS[name])
    kimi_cpu.convert(directory, tmp_path / "model.gguf", dense="bf16")
    model = oracle.load(directory)
    ids = np.random.default_rng(1).integers(3, 150, NUM_TOKENS).tolist()
    expected = oracle.logits(model, ids)
    for chunk in (1, 7, 64, 512):
        with load_exact(tmp_path / "model.gguf", chunk=chunk) as llm:
            assert_close(llm.logits(ids), expected)
            if chunk == 512:
                found = llm.generate(ids[:20], temperature=0, max_tokens=24, ignore_eos=True)
                assert list(found.token_ids) == oracle.greedy(model, ids[:20], 24)
