"""The bytes of each layer of a model, by which layers are shared out."""

from collections.abc import Mapping
from typing import NamedTuple

from ..config import ModelConfig
from ..modelfile.layout import contents
from .one_host import EXPERTS
from .steps import share_used

GROUP = 4  # sequences of a step


class LayerSizes(NamedTuple):
    """Of each layer, the first with the embedding, the last with norm and head: bytes, and those that a step of GROUP
    sequences reads, whose experts are chosen evenly."""

    all: list[int]
    read: list[float]


def layer_sizes(config: ModelConfig, sizes: Mapping[str, int]) -> LayerSizes:
    """sizes: bytes of a native file's tensors by name."""
    used = share_used(config.num_experts_per_tok, config.n_routed_experts, GROUP)
    found = LayerSizes([], [])
    for layer in config.layers:
        own = {name: sizes[name] for name, _ in contents(config, range(layer, layer + 1))}
        experts = sum(size for name, size in own.items() if name.endswith(EXPERTS))
        table = 0 if config.tie_word_embeddings else own.get("token_embd.weight", 0)  # one row of it a token
        found.all.append(sum(own.values()))
        found.read.append(found.all[-1] - table - (1 - used) * experts)
    return found
