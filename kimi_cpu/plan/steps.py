"""Seconds that a step takes on a host that computes all layers of a model, or some of them.

Matrices are read from memory and multiplied, and one waits for the other: the sum of both times is within a sixth of
what was measured (tests/plan/test_steps.py). Experts that are not in memory are read while the others are computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config import ModelConfig
from ..kernels import cache_layer_bytes
from ..kernels.arrays import PAGE_TOKENS
from .layers import Layer, layers_of, share_used, together

RESERVE = 16  # of a host's memory, the part for the program, its activations and others
# Times that a multiply-add of attention takes one of matrices (benchmarks/results-kernels-avx512-vnni.md, per thread:
# 108 and 224 GMAC/s for generated tokens, 126 for prompts, 340 for experts of 512 tokens).
ABSORBED_SLOWNESS = {"f16": 3.1, "int8": 1.5, "f32": 3.1}
EXPANDED_SLOWNESS = 2.7
# Share of the experts that fit, and of their uses that find them there, in the recorded routing of one conversation
# (benchmarks/results-residency.md, decayed averages).
HITS = ((0, 0.03, 0.06, 0.12, 0.25, 0.40, 0.60, 1), (0, 0.355, 0.476, 0.602, 0.750, 0.858, 0.944, 1))


class Host(NamedTuple):
    """memory: bytes of RAM. bandwidth, disk: GB/s that are read from them. multipliers: 10^9 multiply-adds a second of
    a matrix and many tokens."""

    memory: int
    bandwidth: float
    multipliers: float
    disk: float


class Work(NamedTuple):
    """What a stage computes at once. decoding: sequences that generate a token; prompt: tokens of prompts; logits:
    rows. decoding_pairs, prompt_pairs: of such a token and one before it. rebuilt: tokens before those of prompts,
    whose keys and values are computed again."""

    decoding: int = 0
    prompt: int = 0
    logits: int = 0
    decoding_pairs: int = 0
    prompt_pairs: int = 0
    rebuilt: int = 0


@dataclass(frozen=True)
class Model:
    """A model as steps see it. row_bytes: of one token's hidden state. Of a layer: cache_token, bytes of one token in
    the cache; absorbed, expanded: multiply-adds for a pair of Work, as long as those of matrices; rebuild: for a token
    whose keys and values are computed again."""

    layers: tuple[Layer, ...]
    num_experts: int
    num_experts_per_tok: int
    row_bytes: int
    cache_token: float
    absorbed: float
    expanded: float
    rebuild: int

    @classmethod
    def of(cls, config: ModelConfig, sizes: Mapping[str, int], kv: str) -> "Model":
        """The model of a file. sizes: bytes of its tensors by name. kv: type of the cache."""
        c = config
        heads, latent, rope = c.num_attention_heads, c.kv_lora_rank, c.qk_rope_head_dim
        return cls(
            layers=tuple(layers_of(c, sizes)),
            num_experts=c.n_routed_experts,
            num_experts_per_tok=c.num_experts_per_tok,
            row_bytes=4 * c.hidden_size,
            cache_token=cache_layer_bytes(kv, latent, rope) / PAGE_TOKENS,
            absorbed=ABSORBED_SLOWNESS[kv] * heads * (2 * latent + rope),
            expanded=EXPANDED_SLOWNESS * heads * (c.qk_head_dim + c.v_head_dim),
            rebuild=latent * heads * (c.qk_nope_head_dim + c.v_head_dim),
        )

    def share_used(self, tokens: int) -> float:
        """The share of a layer's experts that so many tokens use, when each chooses for itself."""
        return share_used(self.num_experts_per_tok, self.num_experts, tokens)

    def cache_bytes(self, tokens: int) -> int:
        """Cache of one sequence in one layer, in whole pages."""
        return round(-(-tokens // PAGE_TOKENS) * PAGE_TOKENS * self.cache_token)


class Stage:
    """A host that computes some layers. fits: it has room for all but routed experts, and for those that a
    token needs of one layer. resident: the share of them that is in memory. num_bytes: of its weights."""

    def __init__(self, model: Model, layers: range, host: Host, cache: int):
        """cache: bytes a layer, of all sequences together."""
        self._model, self._host, self.layers = model, host, layers
        self._part = part = together(model.layers[i] for i in layers)
        room = usable(host) - cache * part.num_layers - part.resident
        largest = max(model.layers[i].experts for i in layers)
        self.fits = room * model.num_experts >= largest * model.num_experts_per_tok
        self.resident = min(1.0, max(0, room) / part.experts) if part.experts else 1.0
        self.num_bytes = part.num_bytes

    def __call__(self, work: Work) -> float:
        """Seconds that a piece of work takes."""
        model, part, host = self._model, self._part, self._host
        tokens = work.decoding + work.prompt
        used = model.share_used(tokens) * part.experts
        read = part.dense + (part.head if work.logits else 0)
        read += work.decoding_pairs * model.cache_token * part.num_layers
        macs = tokens * part.macs + work.logits * part.head_macs
        of_pairs = work.decoding_pairs * model.absorbed + work.prompt_pairs * model.expanded
        macs += part.num_layers * (of_pairs + work.rebuilt * model.rebuild)
        routed_s = used / host.bandwidth + tokens * part.routed_macs / host.multipliers
        disk_s = used * self._missing(tokens) / host.disk
        return (read / host.bandwidth + macs / host.multipliers + max(routed_s, disk_s)) / 1e9

    def _missing(self, tokens: int) -> float:
        """The share of the uses that find their expert on the disk. Conversations that run at once share the room, and
        the worst is that all experts are used alike."""
        if self.resident == 1 or not tokens:
            return 0.0
        return min(1 - self.resident, 1 - float(np.interp(self.resident / tokens, *HITS)))


def usable(host: Host) -> int:
    """Bytes of a host's memory for weights and caches."""
    return host.memory - host.memory // RESERVE
