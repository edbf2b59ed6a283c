"""The architecture of one model as frozen values, named as in the checkpoint's config.json."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RopeScaling:
    """YaRN (Peng et al., 2023) as DeepSeek-V3's reference code reads it. Lengths in tokens."""

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 1.0
    mscale_all_dim: float = 0.0


@dataclass(frozen=True)
class ModelConfig:
    """All that changes the mathematics of a DeepSeek-V3-class model (DeepSeek-V3 report, sec. 2.1)."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    moe_intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    kv_lora_rank: int
    q_lora_rank: int | None  # None: one q_proj instead of q_a_proj, q_a_layernorm, q_b_proj
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    n_group: int
    topk_group: int
    norm_topk_prob: bool
    scoring_func: str  # "sigmoid" or "softmax"
    routed_scaling_factor: float
    first_k_dense_replace: int
    moe_layer_freq: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    rope_interleave: bool
    tie_word_embeddings: bool
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    @property
    def qk_head_dim(self) -> int:
        """Width of one query head: the part without and the part with position."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    def is_moe_layer(self, layer: int) -> bool:
        """Whether a layer routes to experts (modeling_deepseek.py: DeepseekV3DecoderLayer)."""
        return (
            self.n_routed_experts > 0 and layer >= self.first_k_dense_replace and layer % self.moe_layer_freq == 0
        )
