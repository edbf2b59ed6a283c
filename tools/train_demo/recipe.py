"""What is trained and how: the architecture, as Kimi K2's config.json says it, the data and the schedule."""

from dataclasses import dataclass

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "vocab_size": 2560,
    "hidden_size": 256,
    "intermediate_size": 512,
    "moe_intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_shared_experts": 1,
    "n_routed_experts": 16,
    "num_experts_per_tok": 4,
    "routed_scaling_factor": 2.0,
    "kv_lora_rank": 96,
    "q_lora_rank": 128,
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
    """Training on one mix of the curriculum. documents: how many are made (they come again when they are used up);
    longest: those with more tokens are left out; tokens: about so many a step, padding not counted."""

    mix: str
    seed: int
    until_step: int
    documents: int
    longest: int
    tokens: int
    muon_lr: float
    adam_lr: float


PHASES = (
    Phase("core", 3, until_step=1000, documents=25_000, longest=1024, tokens=4096, muon_lr=0.008, adam_lr=2e-3),
    Phase("tasks", 4, until_step=9000, documents=180_000, longest=4096, tokens=4096, muon_lr=0.006, adam_lr=2e-3),
)
STEPS = PHASES[-1].until_step
WARMUP_STEPS = 30
# The rate rises at a cycle's start and falls to zero over its last steps, in a line: (end, steps of the fall).
CYCLES = ((STEPS, STEPS - 500),)
WEIGHT_DECAY = 0.1  # of matrices
BALANCE_SPEED = 1e-3
TOKENIZER_DOCUMENTS, BASE_VOCAB = 12_000, 2304
