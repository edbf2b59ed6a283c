"""What is trained and how: the architecture, as Kimi K2's config.json says it, the data and the schedule."""

from dataclasses import dataclass

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "vocab_size": 2560,
    "hidden_size": 384,
    "intermediate_size": 768,
    "moe_intermediate_size": 96,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "n_shared_experts": 1,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "routed_scaling_factor": 2.0,
    "kv_lora_rank": 128,
    "q_lora_rank": 192,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "rope_scaling": {
        "type": "yarn",
        "factor": 8.0,
        "original_max_position_embeddings": 1024,
        "beta_fast": 1.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "attention_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
}


@dataclass(frozen=True)
class Phase:
    """Training on one mix of the curriculum up to a step, with these rates at most."""

    mix: str
    seed: int
    until_step: int
    muon_lr: float
    adam_lr: float


PHASES = (
    Phase("core", 3, until_step=1500, muon_lr=0.01, adam_lr=2e-3),
    Phase("tasks", 4, until_step=28_500, muon_lr=0.01, adam_lr=2e-3),
)
STEPS = PHASES[-1].until_step
# A batch: tokens, of at most so many documents; those with more than LONGEST tokens are left out.
TOKENS, DOCUMENTS, LONGEST = 16_384, 127, 4096
STREAMS, PART = 15, 100  # processes that make the data, and batches that each makes of a seed
WARMUP_STEPS, FALL_STEPS = 100, 26_500  # the rates rise in a line, and fall to zero over the last steps
WEIGHT_DECAY = 0.1  # of matrices
BALANCE_SPEED = 1e-3
TOKENIZER_DOCUMENTS, BASE_VOCAB = 12_000, 2304


def share(step: int) -> float:
    """Of the rates that a step has."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (STEPS - step) / FALL_STEPS)
