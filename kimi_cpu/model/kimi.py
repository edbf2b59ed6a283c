"""The forward pass from token ids to logits (modeling_deepseek_v3.py: DeepseekV3ForCausalLM)."""

from collections.abc import Callable

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import make_activation
from .attention import Attention
from .forward_batch import ForwardBatch
from .kv_cache import KVCache
from .moe import Moe, mlp
from .weights import MoeWeights, Weights
from .workspace import Workspace


class Kimi:
    """A model bound to its weights and one workspace; used by one thread at a time."""

    def __init__(self, config: ModelConfig, weights: Weights, max_tokens: int, int8: bool):
        self.config, self.weights, self.int8 = config, weights, int8
        self.max_tokens = max_tokens
        self._workspace = Workspace(config, max_tokens, int8)
        self._attention = Attention(config, self._workspace)
        self._moe = Moe(config, self._workspace)

    def forward(self, batch: ForwardBatch, cache: KVCache, cancelled: Callable[[], bool]) -> np.ndarray | None:
        """Logits f32[N, vocab] of the rows batch.logits_indices; the latents of all T tokens are in the cache after.

        None when `cancelled`, asked before every layer, says so; the cache then holds parts of the tokens' latents.
        """
        num_tokens = len(batch.token_ids)
        hidden = self._workspace.hidden[:num_tokens]  # [T, H]
        normed = self._workspace.normed.rows(num_tokens)
        kernels.embed(self.weights.embed_tokens, batch.token_ids, hidden)
        at = self._attention.positions(batch)
        for number, layer in enumerate(self.weights.layers):
            if cancelled():
                return None
            self._attention(layer.attention, number, batch, at, cache.view)
            kernels.rms_norm(hidden, layer.post_attention_layernorm, self.config.rms_norm_eps, normed)
            if isinstance(layer.mlp, MoeWeights):
                self._moe(layer.mlp, num_tokens)
            else:
                mlp(layer.mlp, self._workspace, num_tokens)
        return self._head(hidden[batch.logits_indices])

    def _head(self, hidden: np.ndarray) -> np.ndarray:
        """lm_head(norm(hidden)): hidden f32[N, H] -> f32[N, vocab]."""
        logits = np.empty((len(hidden), self.config.vocab_size), np.float32)
        if len(hidden):
            normed = make_activation(len(hidden), self.config.hidden_size, self.int8)
            kernels.rms_norm(hidden, self.weights.norm, self.config.rms_norm_eps, normed)
            kernels.linear((self.weights.lm_head,), normed, (logits,))
        return logits
