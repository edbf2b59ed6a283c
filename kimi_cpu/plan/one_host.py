"""Bytes that a model needs and bytes that a token reads, from the configuration and the sizes of tensors alone.

Decoding reads the same weights for every token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..config import ModelConfig
from ..kernels import cache_layer_bytes
from ..kernels.arrays import PAGE_TOKENS
from ..modelfile import HASHES

EXPERTS = "_exps.weight"  # how the names of routed experts end: one tensor a layer, or llama.cpp's three


@dataclass(frozen=True)
class Needs:
    """Bytes. weights: all of them; experts: of these, the routed ones; token, token_experts: of both, the bytes that
    one token reads; cache_token: cache of one token; cache: cache of `context` tokens, in whole pages."""

    weights: int
    experts: int
    num_experts: int
    token: int
    token_experts: int
    cache_token: int
    cache: int
    context: int

    @property
    def dense(self) -> int:
        """Weights without routed experts."""
        return self.weights - self.experts

    @property
    def expert(self) -> int:
        """One routed expert; 0 when there are none."""
        return self.experts // self.num_experts if self.num_experts else 0

    @property
    def memory(self) -> int:
        """RAM to run at the speed of memory: all weights and the cache at the context."""
        return self.weights + self.cache

    def from_disk(self, memory: int) -> int:
        """Bytes of a token's weights that do not lie in so much memory for weights, when experts are used evenly."""
        missing = self.weights - memory
        if missing <= 0:
            return 0
        if missing <= self.experts:
            return self.token_experts * missing // self.experts
        return min(self.token, self.token_experts + missing - self.experts)


def needs(config: ModelConfig, sizes: Mapping[str, int], context: int | None = None, kv: str = "f16") -> Needs:
    """Needs of a model file, native or llama.cpp's. sizes: bytes of its tensors by name. context: tokens, by default
    the model's own. kv: type of the cache."""
    weights = sum(size for name, size in sizes.items() if name != HASHES and not name.startswith("tokenizer."))
    experts = sum(size for name, size in sizes.items() if name.endswith(EXPERTS))
    table = sizes.get("token_embd.weight", 0) if "output.weight" in sizes else 0  # one row of it a token
    token_experts = experts * config.num_experts_per_tok // config.n_routed_experts if experts else 0
    num_moe = sum(config.is_moe_layer(n) for n in range(config.num_hidden_layers))
    context = context or config.max_position_embeddings
    page = cache_layer_bytes(kv, config.kv_lora_rank, config.qk_rope_head_dim) * config.num_hidden_layers
    return Needs(
        weights=weights,
        experts=experts,
        num_experts=num_moe * config.n_routed_experts,
        token=weights - experts - table + token_experts,
        token_experts=token_experts,
        cache_token=page // PAGE_TOKENS,
        cache=-(-context // PAGE_TOKENS) * page,
        context=context,
    )


class Machine(NamedTuple):
    """memory: bytes of RAM for a model. bandwidth: GB/s at which they are read."""

    memory: int
    bandwidth: float


class Prediction(NamedTuple):
    """missing: bytes of RAM by which weights and cache exceed the memory, 0 when they fit. from_disk: bytes read from
    disk for one token then, at most. tokens_per_s: of one sequence, at most, with all weights in RAM."""

    missing: int
    from_disk: int
    tokens_per_s: float


def predict(needs: Needs, machine: Machine) -> Prediction:
    """The prediction for a model on a machine."""
    return Prediction(
        missing=max(0, needs.memory - machine.memory),
        from_disk=needs.from_disk(max(0, machine.memory - needs.cache)),
        tokens_per_s=machine.bandwidth * 1e9 / needs.token,
    )
