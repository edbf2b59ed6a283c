"""The forward pass from token ids to logits (modeling_deepseek_v3.py: DeepseekV3ForCausalLM)."""

from collections.abc import Callable

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import Cache, make_activation
from .attention import Attention, Rotation, Step
from .forward_batch import ForwardBatch
from .kv_cache import KVCache
from .moe import Mlp, Moe
from .weights import LayerWeights, MoeWeights, Weights
from .workspace import Workspace


class Layer:
    """One decoder layer, bound to its weights, the workspace and the cache."""

    def __init__(self, w: LayerWeights, number: int, config: ModelConfig, scale: float, ws: Workspace, cache: Cache):
        eps = config.rms_norm_eps
        self._attention = Attention(w.attention, number, eps, scale, ws, cache)
        self._norm = kernels.bind_rms_norm(ws.hidden, w.post_attention_layernorm, eps, ws.normed)
        self._mlp = Moe(w.mlp, config, ws) if isinstance(w.mlp, MoeWeights) else Mlp(w.mlp, ws)

    def __call__(self, batch: ForwardBatch, step: Step) -> None:
        """hidden of the workspace, the first rows, goes through the layer."""
        num_tokens = len(batch.token_ids)
        self._attention(batch, step)
        self._norm(num_tokens)
        self._mlp(num_tokens)


class Kimi:
    """A model bound to its weights and one workspace; used by one thread at a time."""

    def __init__(self, config: ModelConfig, weights: Weights, max_tokens: int, int8: bool):
        self.config, self.weights, self.int8 = config, weights, int8
        self.max_tokens = max_tokens
        self._workspace = Workspace(config, max_tokens, int8)
        self._rotation = Rotation(config)
        self._bound_to: tuple | None = None
        self._layers: list[Layer] = []

    def forward(self, batch: ForwardBatch, cache: KVCache, cancelled: Callable[[], bool]) -> np.ndarray | None:
        """Logits f32[N, vocab] of the rows batch.logits_indices; the latents of all T tokens are in the cache after.

        None when `cancelled`, asked before every layer, says so; the cache then holds parts of the tokens' latents.
        """
        hidden = self._workspace.hidden[: len(batch.token_ids)]  # [T, H]
        kernels.embed(self.weights.embed_tokens, batch.token_ids, hidden)
        step = self._rotation.step(batch, cache.view)
        for layer in self._bind(cache):
            if cancelled():
                return None
            layer(batch, step)
        return self._head(hidden[batch.logits_indices])

    def _bind(self, cache: KVCache) -> list[Layer]:
        """The layers over a cache, bound when the cache, or what this thread's kernels run with, is another one."""
        wanted = cache, kernels.context()
        if self._bound_to is None or any(a is not b for a, b in zip(self._bound_to, wanted, strict=True)):
            scale, ws = self._rotation.softmax_scale, self._workspace
            self._layers = [
                Layer(w, number, self.config, scale, ws, cache.view) for number, w in enumerate(self.weights.layers)
            ]
            self._bound_to = wanted
        return self._layers

    def _head(self, hidden: np.ndarray) -> np.ndarray:
        """lm_head(norm(hidden)): hidden f32[N, H] -> f32[N, vocab]."""
        logits = np.empty((len(hidden), self.config.vocab_size), np.float32)
        if len(hidden):
            normed = make_activation(len(hidden), self.config.hidden_size, self.int8)
            kernels.rms_norm(hidden, self.weights.norm, self.config.rms_norm_eps, normed)
            kernels.linear((self.weights.lm_head,), normed, (logits,))
        return logits
