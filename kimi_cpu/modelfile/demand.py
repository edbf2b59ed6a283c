"""What a model's weights ask of memory and disk."""

from collections.abc import Mapping
from typing import NamedTuple

from ..config import ModelConfig
from .layout import HASHES

EXPERTS = "_exps.weight"  # how the names of routed experts end: one tensor a layer, or llama.cpp's three


class Demand(NamedTuple):
    """Bytes. weights: all of them; experts: of these, the routed ones; token, token_experts: of both, what one token
    reads."""

    weights: int
    experts: int
    token: int
    token_experts: int

    def from_disk(self, memory: int) -> int:
        """Bytes of a token's weights that do not lie in so much memory, when experts are used evenly."""
        missing = self.weights - memory
        if missing <= 0:
            return 0
        if missing <= self.experts:
            return self.token_experts * missing // self.experts
        return min(self.token, self.token_experts + missing - self.experts)


def demand(config: ModelConfig, sizes: Mapping[str, int]) -> Demand:
    """Of the tensors of a model file, native or llama.cpp's; sizes: bytes by name."""
    weights = sum(size for name, size in sizes.items() if name != HASHES and not name.startswith("tokenizer."))
    experts = sum(size for name, size in sizes.items() if name.endswith(EXPERTS))
    table = sizes["token_embd.weight"] if "output.weight" in sizes else 0  # one row of it a token
    token_experts = experts * config.num_experts_per_tok // config.n_routed_experts if experts else 0
    return Demand(weights, experts, weights - experts - table + token_experts, token_experts)
