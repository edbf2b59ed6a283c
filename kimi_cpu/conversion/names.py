"""The tensors that a checkpoint of a given configuration must hold, by their names in the checkpoint."""

from collections.abc import Iterator

from ..config import ModelConfig


def layer_linears(config: ModelConfig, layer: int) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of every matrix of a layer, in the order in which a token meets them; experts last."""
    c, at, mlp = config, f"model.layers.{layer}.self_attn", f"model.layers.{layer}.mlp"
    heads, hidden = c.num_attention_heads, c.hidden_size
    if c.q_lora_rank is None:
        yield f"{at}.q_proj", heads * c.qk_head_dim, hidden
    else:
        yield f"{at}.q_a_proj", c.q_lora_rank, hidden
        yield f"{at}.q_b_proj", heads * c.qk_head_dim, c.q_lora_rank
    yield f"{at}.kv_a_proj_with_mqa", c.kv_lora_rank + c.qk_rope_head_dim, hidden
    yield f"{at}.kv_b_proj", heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank
    yield f"{at}.o_proj", hidden, heads * c.v_head_dim
    if not c.is_moe_layer(layer):
        yield from mlp_linears(mlp, c.intermediate_size, hidden)
        return
    yield f"{mlp}.gate", c.n_routed_experts, hidden
    if c.n_shared_experts:
        yield from mlp_linears(f"{mlp}.shared_experts", c.moe_intermediate_size * c.n_shared_experts, hidden)
    for expert in range(c.n_routed_experts):
        yield from mlp_linears(f"{mlp}.experts.{expert}", c.moe_intermediate_size, hidden)


def mlp_linears(prefix: str, width: int, hidden: int) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of the gate, up and down projections of one gated MLP."""
    yield f"{prefix}.gate_proj", width, hidden
    yield f"{prefix}.up_proj", width, hidden
    yield f"{prefix}.down_proj", hidden, width


def linears(config: ModelConfig) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of every matrix of the model, the embedding table and the head among them."""
    yield "model.embed_tokens", config.vocab_size, config.hidden_size
    for layer in range(config.num_hidden_layers):
        yield from layer_linears(config, layer)
    if not config.tie_word_embeddings:
        yield "lm_head", config.vocab_size, config.hidden_size


def vectors(config: ModelConfig) -> Iterator[tuple[str, int]]:
    """(tensor name, length) of every vector of the model: norms and the router's selection bias."""
    c = config
    for layer in range(c.num_hidden_layers):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", c.hidden_size
        if c.q_lora_rank is not None:
            yield f"{at}.self_attn.q_a_layernorm.weight", c.q_lora_rank
        yield f"{at}.self_attn.kv_a_layernorm.weight", c.kv_lora_rank
        yield f"{at}.post_attention_layernorm.weight", c.hidden_size
        if c.is_moe_layer(layer):
            yield f"{at}.mlp.gate.e_score_correction_bias", c.n_routed_experts
    yield "model.norm.weight", c.hidden_size
