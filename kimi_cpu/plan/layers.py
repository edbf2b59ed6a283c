"""The layers of a model: their bytes, those that a step reads, and their multiply-adds."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..config import ModelConfig
from .one_host import EXPERTS

GROUP = 4  # sequences of a step, by whose time layers are shared out


class Layer(NamedTuple):
    """A layer, or several together; the first has the embedding's table, the last the head. Bytes: table, dense (read
    by every step), head (read where there are logits), tied (of the head, those that are the table's), experts (routed
    ones, read when tokens use them). Multiply-adds of a token: macs without attention's own, routed_macs; of a row of
    logits: head_macs."""

    num_layers: int = 0
    table: int = 0
    dense: int = 0
    head: int = 0
    tied: int = 0
    experts: int = 0
    macs: int = 0
    routed_macs: int = 0
    head_macs: int = 0

    @property
    def resident(self) -> int:
        """Bytes of its weights without routed experts. A table that is the head as well is there once."""
        return self.table + self.dense + self.head - min(self.table, self.tied)

    @property
    def num_bytes(self) -> int:
        """All bytes of its weights."""
        return self.resident + self.experts

    def read(self, used: float) -> float:
        """Bytes that a step with logits reads, which uses this share of the experts."""
        return self.dense + self.head + used * self.experts


class LayerSizes(NamedTuple):
    """Of each layer: all bytes, and those that a step of GROUP sequences reads, whose experts are chosen evenly."""

    all: list[int]
    read: list[float]


def layer_sizes(config: ModelConfig, sizes: Mapping[str, int]) -> LayerSizes:
    """By which layers are shared out. sizes: see layers_of."""
    layers = layers_of(config, sizes)
    used = share_used(config.num_experts_per_tok, config.n_routed_experts, GROUP)
    return LayerSizes([layer.num_bytes for layer in layers], [layer.read(used) for layer in layers])


def layers_of(config: ModelConfig, sizes: Mapping[str, int]) -> list[Layer]:
    """Each layer of a model. sizes: bytes of a file's tensors by name, native or llama.cpp's."""
    c = config
    dense, experts = [0] * c.num_hidden_layers, [0] * c.num_hidden_layers
    for name, size in sizes.items():
        if found := re.match(r"blk\.(\d+)\.", name):
            (experts if name.endswith(EXPERTS) else dense)[int(found[1])] += size
    dense[-1] += sizes.get("output_norm.weight", 0)
    layers = [
        Layer(1, dense=dense[i], experts=experts[i], macs=_macs(c, i), routed_macs=_routed_macs(c, i))
        for i in range(c.num_hidden_layers)
    ]
    table, head = sizes.get("token_embd.weight", 0), sizes.get("output.weight", 0)
    layers[0] = layers[0]._replace(table=table)
    tied = 0 if head else table
    layers[-1] = layers[-1]._replace(head=head or table, tied=tied, head_macs=c.vocab_size * c.hidden_size)
    return layers


def together(layers: Iterable[Layer]) -> Layer:
    """Several layers as one."""
    return Layer(*map(sum, zip(*layers, strict=True)))


def share_used(per_token: int, experts: int, tokens: int) -> float:
    """The share of a layer's experts that so many tokens use, when each chooses for itself."""
    return 1 - (1 - per_token / experts) ** tokens if experts else 0.0


def _macs(c: ModelConfig, layer: int) -> int:
    """Multiply-adds of a token and a layer's matrices, without those of routed experts (DeepSeek-V3 report, sec. 2.1;
    absorbed queries and values take as many as kv_b_proj)."""
    heads = c.num_attention_heads
    queries = heads * c.qk_head_dim
    macs = c.hidden_size * (c.kv_lora_rank + c.qk_rope_head_dim + heads * c.v_head_dim)
    macs += c.hidden_size * queries if c.q_lora_rank is None else c.q_lora_rank * (c.hidden_size + queries)
    macs += c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim)
    if not c.is_moe_layer(layer):
        return macs + 3 * c.hidden_size * c.intermediate_size
    return macs + c.hidden_size * (c.n_routed_experts + 3 * c.n_shared_experts * c.moe_intermediate_size)


def _routed_macs(c: ModelConfig, layer: int) -> int:
    """Multiply-adds of a token and the experts that it is routed to."""
    return 3 * c.hidden_size * c.moe_intermediate_size * c.num_experts_per_tok if c.is_moe_layer(layer) else 0
