"""The activations of one step, allocated once: a forward pass allocates nothing of its own."""

import numpy as np

from ..config import ModelConfig
from ..kernels import Activation, make_activation


class Workspace:
    """Buffers for at most max_tokens rows a step. int8: whether matmul inputs are quantised as well."""

    def __init__(self, config: ModelConfig, max_tokens: int, int8: bool):
        c = config
        heads, latent = c.num_attention_heads, c.kv_lora_rank + c.qk_rope_head_dim
        self.max_tokens = max_tokens
        self.hidden = np.zeros((max_tokens, c.hidden_size), np.float32)  # the residual stream
        self.normed = make_activation(max_tokens, c.hidden_size, int8)
        self.ckv = np.zeros((max_tokens, latent), np.float32)
        self.q = np.zeros((max_tokens, heads * c.qk_head_dim), np.float32)
        self.heads_q = self.q.reshape(max_tokens, heads, c.qk_head_dim)
        self.q_a = np.zeros((max_tokens, c.q_lora_rank or 0), np.float32)
        self.q_latent = make_activation(max_tokens, c.q_lora_rank, int8) if c.q_lora_rank else None
        self.heads_out = make_activation(max_tokens, heads * c.v_head_dim, int8)
        self.q_absorbed = np.zeros((max_tokens, heads, latent), np.float32)
        self.latent_out = np.zeros((max_tokens, heads, c.kv_lora_rank), np.float32)
        self.mlp: dict[int, Activation] = {w: make_activation(max_tokens, w, int8) for w in _mlp_widths(c)}
        self.routed = make_activation(max_tokens * c.num_experts_per_tok, c.moe_intermediate_size, int8)
        self.expert_ids = np.zeros((max_tokens, c.num_experts_per_tok), np.int32)
        self.expert_weights = np.zeros((max_tokens, c.num_experts_per_tok), np.float32)


def _mlp_widths(c: ModelConfig) -> set[int]:
    """Widths of the dense MLPs and of the shared experts, those that occur."""
    moe = [c.is_moe_layer(n) for n in range(c.num_hidden_layers)]
    widths = set() if all(moe) else {c.intermediate_size}
    if any(moe) and c.n_shared_experts:
        widths.add(c.n_shared_experts * c.moe_intermediate_size)
    return widths
