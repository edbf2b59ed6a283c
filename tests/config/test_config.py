"""Every value that changes the mathematics is honoured or refused by name; what nobody knows is said once."""

import json
from pathlib import Path

import pytest

from kimi_cpu.config import RopeScaling, config_from_gguf, config_from_hf, config_to_hf
from kimi_cpu.errors import ConfigError
from tests.tiny import BASE, YARN

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
K2_DEEPSEEK2 = {  # what llama.cpp's converter writes for Kimi K2 Thinking
    "general.architecture": "deepseek2",
    "general.name": "Kimi K2 Thinking",
    "deepseek2.block_count": 61,
    "deepseek2.context_length": 262144,
    "deepseek2.embedding_length": 7168,
    "deepseek2.feed_forward_length": 18432,
    "deepseek2.attention.head_count": 64,
    "deepseek2.attention.head_count_kv": 1,
    "deepseek2.attention.layer_norm_rms_epsilon": 9.999999747378752e-06,  # 1e-5 as a float32
    "deepseek2.attention.q_lora_rank": 1536,
    "deepseek2.attention.kv_lora_rank": 512,
    "deepseek2.attention.key_length": 576,
    "deepseek2.attention.value_length": 512,
    "deepseek2.attention.key_length_mla": 192,
    "deepseek2.attention.value_length_mla": 128,
    "deepseek2.rope.dimension_count": 64,
    "deepseek2.rope.freq_base": 50000.0,
    "deepseek2.rope.scaling.type": "yarn",
    "deepseek2.rope.scaling.factor": 64.0,
    "deepseek2.rope.scaling.original_context_length": 4096,
    "deepseek2.rope.scaling.yarn_beta_fast": 1.0,
    "deepseek2.rope.scaling.yarn_beta_slow": 1.0,
    "deepseek2.rope.scaling.yarn_log_multiplier": 0.10000000149011612,
    "deepseek2.leading_dense_block_count": 1,
    "deepseek2.vocab_size": 163840,
    "deepseek2.expert_count": 384,
    "deepseek2.expert_used_count": 8,
    "deepseek2.expert_shared_count": 1,
    "deepseek2.expert_feed_forward_length": 2048,
    "deepseek2.expert_weights_scale": 2.8269999027252197,
    "deepseek2.expert_weights_norm": True,
    "deepseek2.expert_gating_func": 2,
    "deepseek2.expert_group_count": 1,
    "deepseek2.expert_group_used_count": 1,
    "tokenizer.ggml.bos_token_id": 163584,
    "tokenizer.ggml.eos_token_id": 163586,
}


def published(name):
    return json.loads((CONFIGS / f"{name}.json").read_text())


def read(**changes):
    return config_from_hf(BASE | changes)[0]


def without(*keys):
    return {key: value for key, value in BASE.items() if key not in keys}


@pytest.mark.parametrize(
    ("name", "beta_fast", "factor", "context", "eps", "eos"),
    [
        ("kimi_k2_thinking", 1.0, 64.0, 262144, 1e-5, 163586),
        ("kimi_k2_instruct", 1.0, 32.0, 131072, 1e-6, 163585),
        ("kimi_k2_5", 32.0, 64.0, 262144, 1e-5, 163585),
    ],
)
def test_published_configurations_are_read_without_a_warning(name, beta_fast, factor, context, eps, eos):
    config, warnings = config_from_hf(published(name))
    assert warnings == []
    assert config.rope_scaling == RopeScaling(factor, 4096, beta_fast, 1.0, 1.0, 1.0)
    assert (config.max_position_embeddings, config.rms_norm_eps, config.eos_token_ids) == (context, eps, (eos,))
    assert (config.num_hidden_layers, config.n_routed_experts, config.num_experts_per_tok) == (61, 384, 8)
    assert config.rope_interleave and config.norm_topk_prob and not config.tie_word_embeddings


@pytest.mark.parametrize("name", ["kimi_k2_thinking", "kimi_k2_instruct", "kimi_k2_5"])
def test_a_configuration_written_out_reads_as_the_same(name):
    config, _ = config_from_hf(published(name))
    assert config_from_hf(config_to_hf(config)) == (config, [])


def test_unknown_keys_are_listed_in_one_warning():
    _, warnings = config_from_hf(BASE | {"zeta": 1, "alpha": 2, "rope_scaling": YARN | {"omega": 3}})
    assert warnings == ["Unknown keys in the configuration are ignored: alpha, zeta, rope_scaling.omega."]


def test_unknown_keys_around_a_text_config_are_listed_too():
    _, warnings = config_from_hf(published("kimi_k2_5") | {"strange": 1})
    assert warnings == ["Unknown keys in the configuration are ignored: strange."]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model_type": "deepseek_v32"}, "model_type"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"topk_method": "greedy"}, "topk_method"),
        ({"scoring_func": "softmax"}, "scoring_func"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"num_key_value_heads": 1}, "num_key_value_heads"),
        ({"qk_head_dim": 25}, "qk_head_dim"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.type"),
        ({"rope_scaling": YARN | {"attention_factor": 1.5}}, "rope_scaling.attention_factor"),
        ({"rope_scaling": YARN | {"truncate": False}}, "rope_scaling.truncate"),
        ({"rope_scaling": YARN | {"factor": "64"}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"beta_fast": 0}}, "rope_scaling.beta_fast"),
        ({"rope_scaling": YARN | {"mscale": -1}}, "rope_scaling.mscale"),
        ({"rope_scaling": [1]}, "rope_scaling"),
        ({"rope_theta": 1.0}, "rope_theta"),
        ({"rms_norm_eps": 0}, "rms_norm_eps"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": 64.0}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": 10**30}, "hidden_size"),
        ({"hidden_size": 48}, "hidden_size"),
        ({"moe_intermediate_size": 40}, "moe_intermediate_size"),
        ({"qk_rope_head_dim": 7}, "qk_rope_head_dim"),
        ({"num_hidden_layers": 2**31 - 1}, "num_hidden_layers"),
        ({"n_group": 3}, "n_group"),
        ({"n_group": 8}, "n_group"),
        ({"n_group": 2, "topk_group": 3}, "topk_group"),
        ({"num_experts_per_tok": 9}, "num_experts_per_tok"),
        ({"n_group": 4, "topk_group": 1, "num_experts_per_tok": 3}, "num_experts_per_tok"),
        ({"eos_token_id": "x"}, "eos_token_id"),
        ({"rope_scaling": YARN | {"beta_fast": 5e-324}}, "rope_scaling.beta_fast"),
        ({"rope_scaling": YARN | {"beta_slow": 1e29}}, "rope_scaling.beta_slow"),
        ({"rope_scaling": YARN | {"factor": 1e29}}, "rope_scaling.factor"),
        ({"rope_scaling": YARN | {"mscale_all_dim": 1e29}}, "rope_scaling.mscale_all_dim"),
        ({"rope_theta": 1.0000000000000002}, "rope_theta"),
        ({"rope_theta": 1e29}, "rope_theta"),
        ({"rms_norm_eps": 5e-324}, "rms_norm_eps"),
        ({"rms_norm_eps": 1e29}, "rms_norm_eps"),
        ({"routed_scaling_factor": 1e29}, "routed_scaling_factor"),
        ({"routed_scaling_factor": 5e-324}, "routed_scaling_factor"),
        ({"max_position_embeddings": 2**31 - 1}, "max_position_embeddings"),
        ({"vocab_size": 2**31 - 1}, "vocab_size"),
        ({"num_attention_heads": 2**31 - 1, "num_key_value_heads": 2**31 - 1}, "num_attention_heads"),
        ({"n_routed_experts": 2**31 - 1}, "n_routed_experts"),
        ({"n_routed_experts": 2**14, "num_hidden_layers": 100}, "n_routed_experts"),
        ({"norm_topk_prob": 1}, "norm_topk_prob"),
    ],
)
def test_a_value_that_cannot_be_honoured_is_refused_by_name(change, key):
    with pytest.raises(ConfigError, match=rf"\b{key}\b"):
        read(**change)


@pytest.mark.parametrize("key", ["vocab_size", "kv_lora_rank", "q_lora_rank", "n_group", "rms_norm_eps", "rope_theta"])
def test_a_missing_key_is_named(key):
    with pytest.raises(ConfigError, match=rf"lacks {key}\b"):
        config_from_hf(without(key))


def test_what_is_no_object_is_refused():
    with pytest.raises(ConfigError, match=r"config\.json"):
        config_from_hf([])


def test_optional_parts_may_be_absent():
    config = read(q_lora_rank=None, rope_scaling=None, bos_token_id=None, eos_token_id=None)
    assert (config.q_lora_rank, config.rope_scaling, config.bos_token_id, config.eos_token_ids) == (None,) * 3 + ((),)
    assert read(eos_token_id=[2, 3]).eos_token_ids == (2, 3)
    assert read(rope_scaling={"rope_type": "default"}).rope_scaling is None


def test_absent_yarn_values_have_the_reference_codes_defaults():
    scaling = read(
        rope_scaling={"type": "yarn", "factor": 4, "original_max_position_embeddings": 64, "mscale": None}
    ).rope_scaling
    assert scaling == RopeScaling(4.0, 64, beta_fast=32.0, beta_slow=1.0, mscale=0.0, mscale_all_dim=0.0)


def test_rope_parameters_of_newer_transformers_mean_the_same():
    new = without("rope_scaling", "rope_theta") | {
        "rope_parameters": {key: value for key, value in YARN.items() if key != "type"}
        | {"rope_type": "yarn", "rope_theta": 50000.0}
    }
    assert config_from_hf(new) == config_from_hf(BASE)


@pytest.mark.parametrize(
    "more", [{"rope_parameters": YARN | {"factor": 2.0}}, {"rope_parameters": YARN | {"rope_theta": 10.0}}]
)
def test_two_rope_keys_that_contradict_each_other_are_refused(more):
    with pytest.raises(ConfigError, match="contradict"):
        read(**more)


def test_gguf_metadata_and_config_json_give_the_same_configuration():
    assert config_from_gguf(K2_DEEPSEEK2) == config_from_hf(published("kimi_k2_thinking"))


@pytest.mark.parametrize(
    ("name", "vocab_size", "beta_fast"),
    [("Kimi K2 Thinking", 163840, 1.0), ("Kimi K2.5", 163840, 32.0), ("DeepSeek V3", 129280, 32.0), ("", 163840, 1.0)],
)
def test_a_missing_beta_fast_is_the_models_own_and_is_said(name, vocab_size, beta_fast):
    metadata = K2_DEEPSEEK2 | {"general.name": name, "deepseek2.vocab_size": vocab_size}
    del metadata["deepseek2.rope.scaling.yarn_beta_fast"]
    config, warnings = config_from_gguf(metadata)
    assert config.rope_scaling.beta_fast == beta_fast
    assert len(warnings) == 1 and "yarn_beta_fast" in warnings[0]


def test_unknown_keys_of_the_architecture_are_listed_in_one_warning():
    metadata = K2_DEEPSEEK2 | {"deepseek2.swiglu_clamp": 7.0, "deepseek2.attention.head_count_kv": 1, "llama.x": 1}
    _, warnings = config_from_gguf(metadata)
    assert warnings == ["Unknown keys in the metadata are ignored: deepseek2.swiglu_clamp."]


def test_files_older_than_the_mla_keys_are_read_by_key_length():
    old = {key: value for key, value in K2_DEEPSEEK2.items() if not key.endswith("_mla")}
    old |= {"deepseek2.attention.key_length": 192, "deepseek2.attention.value_length": 128}
    assert config_from_gguf(old) == config_from_gguf(K2_DEEPSEEK2)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"general.architecture": "llama"}, "general.architecture"),
        ({"deepseek2.expert_gating_func": 1}, "expert_gating_func"),
        ({"deepseek2.rope.scaling.type": "linear"}, "rope.scaling.type"),
        ({"deepseek2.rope.scaling.yarn_log_multiplier": 0.0}, "yarn_log_multiplier"),
        ({"deepseek2.rope.scaling.yarn_attn_factor": 0.5}, "yarn_attn_factor"),
        ({"deepseek2.nextn_predict_layers": 1}, "nextn_predict_layers"),
        ({"deepseek2.block_count": "61"}, "block_count"),
        ({"deepseek2.attention.key_length_mla": 64}, "qk_nope_head_dim"),
        ({"tokenizer.ggml.bos_token_id": "one"}, "bos_token_id"),
        ({"tokenizer.ggml.eos_token_id": -1}, "eos_token_id"),
    ],
)
def test_metadata_that_cannot_be_honoured_is_refused_by_name(change, key):
    with pytest.raises(ConfigError, match=key):
        config_from_gguf(K2_DEEPSEEK2 | change)
