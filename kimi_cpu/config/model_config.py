"""The architecture of one model as frozen values, named as in the checkpoint's config.json, and their limits."""

from dataclasses import dataclass, replace

from ..errors import ConfigError

GROUP = 32  # quantization_config.group_size: the experts' inputs are multiples of it
POSITIVE_WITH_EXPERTS = ("moe_intermediate_size", "num_experts_per_tok", "n_group", "topk_group")
LIMITS = {  # least and most of what a model may hold: beyond them f32 gives infinity or nothing, or there is no memory
    "rms_norm_eps": (1e-12, 0.1),
    "rope_theta": (1.01, 1e12),
    "routed_scaling_factor": (1e-6, 1e4),
    "vocab_size": (1, 1 << 24),
    "hidden_size": (1, 1 << 18),
    "intermediate_size": (1, 1 << 20),
    "moe_intermediate_size": (0, 1 << 20),
    "num_hidden_layers": (1, 1000),
    "num_attention_heads": (1, 1 << 10),
    "kv_lora_rank": (1, 1 << 16),
    "q_lora_rank": (1, 1 << 18),
    "qk_nope_head_dim": (1, 1 << 12),
    "qk_rope_head_dim": (1, 1 << 12),
    "v_head_dim": (1, 1 << 12),
    "n_routed_experts": (0, 1 << 14),
    "n_shared_experts": (0, 1 << 10),
    "moe_layer_freq": (1, 1000),
    "max_position_embeddings": (1, 1 << 24),
}
SCALING_LIMITS = {
    "factor": (1.0, 1e6),
    "original_max_position_embeddings": (1, 1 << 24),
    "beta_fast": (1e-3, 1e6),
    "beta_slow": (1e-3, 1e6),
    "mscale": (0.0, 100.0),
    "mscale_all_dim": (0.0, 100.0),
}
MAX_EXPERTS = 1 << 16  # of all layers


@dataclass(frozen=True)
class RopeScaling:
    """YaRN (Peng et al., 2023) as DeepSeek-V3's reference code reads it. Lengths in tokens."""

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.0  # 0: absent from the config
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
    scoring_func: str  # "sigmoid"
    routed_scaling_factor: float
    first_k_dense_replace: int
    moe_layer_freq: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    rope_interleave: bool  # as in the checkpoint; the converter reorders rows, so that files are always interleaved
    tie_word_embeddings: bool
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    def __post_init__(self):
        _check(self)

    @property
    def qk_head_dim(self) -> int:
        """Width of one query head: the part without and the part with position."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    def is_moe_layer(self, layer: int) -> bool:
        """Whether a layer routes to experts (modeling_deepseek.py: DeepseekV3DecoderLayer)."""
        return self.n_routed_experts > 0 and layer >= self.first_k_dense_replace and layer % self.moe_layer_freq == 0

    @property
    def layers(self) -> range:
        """All of them, by number. A part of the model is a part of this range."""
        return range(self.num_hidden_layers)

    def has_embedding(self, layers: range) -> bool:
        """Whether a part of the model embeds: the first one does."""
        return layers.start == 0

    def has_head(self, layers: range) -> bool:
        """Whether a part of the model has the last norm and the head."""
        return layers.stop == self.num_hidden_layers

    def part(self, layers: range) -> "ModelConfig":
        """The configuration of a model of some of the layers alone, by which the memory of a part is known."""
        assert layers.start % self.moe_layer_freq == 0, "layers of both kinds take turns as in the whole"
        num_dense = max(0, self.first_k_dense_replace - layers.start)
        return replace(self, num_hidden_layers=len(layers), first_k_dense_replace=num_dense)


def _check(c: ModelConfig) -> None:
    """Raise ConfigError where values contradict each other or cannot be stored in the file's layouts."""
    _check_limits(c, LIMITS, "")
    if c.num_hidden_layers * c.n_routed_experts > MAX_EXPERTS:
        raise ConfigError(
            f"n_routed_experts is {c.n_routed_experts} in each of {c.num_hidden_layers} layers; more than "
            f"{MAX_EXPERTS} in all is no model."
        )
    if c.qk_rope_head_dim % 2:
        raise ConfigError(f"qk_rope_head_dim is {c.qk_rope_head_dim}; rotation needs an even number.")
    if c.n_routed_experts:
        _check_experts(c)
    if c.rope_scaling is not None:
        _check_limits(c.rope_scaling, SCALING_LIMITS, "rope_scaling.")


def _check_experts(c: ModelConfig) -> None:
    for name in POSITIVE_WITH_EXPERTS:
        if not getattr(c, name) > 0:
            raise ConfigError(f"{name} is {getattr(c, name)}; it must be greater than 0.")
    if c.n_routed_experts % c.n_group:
        raise ConfigError(f"n_routed_experts is {c.n_routed_experts}; it must be a multiple of n_group ({c.n_group}).")
    if c.topk_group > c.n_group:
        raise ConfigError(f"topk_group is {c.topk_group}; it cannot exceed n_group ({c.n_group}).")
    per_group = c.n_routed_experts // c.n_group
    if c.n_group > 1 and per_group < 2:
        raise ConfigError(f"n_group is {c.n_group}; a group of {per_group} expert has no two best to score it by.")
    if c.num_experts_per_tok > per_group * c.topk_group:
        raise ConfigError(
            f"num_experts_per_tok is {c.num_experts_per_tok}, but only {per_group * c.topk_group} experts can be "
            f"chosen ({c.topk_group} of {c.n_group} groups of {per_group})."
        )
    for name in ("hidden_size", "moe_intermediate_size"):
        if getattr(c, name) % GROUP:
            raise ConfigError(f"{name} is {getattr(c, name)}; INT4 experts need a multiple of {GROUP}.")


def _check_limits(values: ModelConfig | RopeScaling, limits: dict[str, tuple[float, float]], where: str) -> None:
    for name, (least, most) in limits.items():
        value = getattr(values, name)
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{where}{name} is {value}; models have {least} to {most}.")
