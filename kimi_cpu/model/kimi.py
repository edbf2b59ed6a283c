"""The forward pass from token ids to logits (modeling_deepseek_v3.py: DeepseekV3ForCausalLM)."""

from concurrent.futures import Future
from typing import Protocol

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import Cache, Chain
from .attention import Attention, Rotation, Step
from .forward_batch import ForwardBatch
from .kv_cache import KVCache
from .moe import mlp, moe
from .weights import LayerWeights, MoeWeights, Weights
from .workspace import Workspace

HEAD_ROWS = 64  # whose logits have a place of their own: 42 MB of K2's vocabulary, real when they are used


class Layer:
    """One decoder layer, bound to its weights, the workspace and the cache."""

    def __init__(
        self, w: LayerWeights, number: int, config: ModelConfig, scale: float, ws: Workspace, cache: Cache, step: Step
    ):
        eps = config.rms_norm_eps
        a = self._attention = Attention(w.attention, number, eps, scale, ws, cache, step)
        norm = kernels.bind_rms_norm(ws.hidden, w.post_attention_layernorm, eps, ws.normed)
        feed_forward = moe(w.mlp, config, ws) if isinstance(w.mlp, MoeWeights) else mlp(w.mlp, ws)
        after = [*a.output, *((call, step.rows) for call in (norm, *feed_forward))]
        self._chain = Chain([*a.latents, *a.absorbed, *after])
        self._absorbed, self._after = len(a.latents), len(a.latents) + len(a.absorbed)

    def __call__(self, batch: ForwardBatch, step: Step) -> None:
        """hidden of the workspace, the first rows, goes through the layer."""
        if batch.num_decode_seqs == len(batch.token_ids):
            self._chain()
            return
        self._chain(0, self._after if batch.num_decode_seqs else self._absorbed)
        self._attention.expanded(batch, step)
        self._chain(self._after)


class Head:
    """lm_head(norm(hidden)), bound to its weights and the workspace."""

    def __init__(self, weights: Weights, config: ModelConfig, ws: Workspace):
        rows = min(HEAD_ROWS, ws.max_tokens)
        self._workspace, self._matrices = ws, (weights.lm_head,)
        self._logits = np.empty((rows, config.vocab_size), np.float32)
        self._norm = kernels.bind_rms_norm(ws.hidden, weights.norm, config.rms_norm_eps, ws.normed)
        self._project = kernels.bind_linear(self._matrices, ws.normed.rows(rows), (self._logits,))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Logits f32[N, vocab] of N rows of the workspace's hidden, whose first N rows they become."""
        ws, n = self._workspace, len(rows)
        if n == 0:
            return self._logits[:0].copy()
        ws.hidden[:n] = ws.hidden[rows]
        self._norm(n)
        if n <= len(self._logits):
            self._project(n)
            return self._logits[:n].copy()
        logits = np.empty((n, self._logits.shape[1]), np.float32)
        kernels.linear(self._matrices, ws.normed.rows(n), (logits,))
        return logits


class Watch(Protocol):
    """Who follows a forward pass, and may end it."""

    stop: np.ndarray  # i64[1]; any thread ends the pass by another value than 0, also within a layer

    def __call__(self, done: int, total: int) -> bool:
        """Before each layer: so many are done. True: the pass is to end."""


class Kimi:
    """A model bound to its weights, its cache and one workspace; used by one thread at a time."""

    def __init__(self, config: ModelConfig, weights: Weights, cache: KVCache, max_tokens: int, int8: bool):
        """max_tokens: tokens of a batch at most. int8: whether activations are rounded to 8 bits."""
        self.config, self.weights, self.pages = config, weights, cache
        self.max_tokens, self.vocab_size = max_tokens, config.vocab_size
        self._workspace = Workspace(config, max_tokens, int8)
        self._rotation = Rotation(config)
        self._bound_to: object = None

    def submit(self, batch: ForwardBatch, watch: Watch) -> Future[np.ndarray | None]:
        """What `forward` returns, computed at once on the calling thread: the future is finished."""
        future: Future[np.ndarray | None] = Future()
        future.set_result(self.forward(batch, watch))
        return future

    def forward(self, batch: ForwardBatch, watch: Watch) -> np.ndarray | None:
        """Logits f32[N, vocab] of the rows batch.logits_indices; the latents of all T tokens are in the cache after.

        None when `watch` ended it; the cache then holds anything in the tokens' slots.
        """
        self._bind()
        with kernels.stoppable(watch.stop):
            self._embed(batch.token_ids)
            self._step.set(batch)
            for number, layer in enumerate(self._layers):
                if watch(number, len(self._layers)):
                    return None
                layer(batch, self._step)
            logits = self._head(batch.logits_indices)
        return None if watch.stop[0] else logits

    def _bind(self) -> None:
        """Binds all parts anew when this thread's kernels run with another context than those that are bound."""
        context = kernels.context()
        if self._bound_to is not context:
            scale, ws, cache = self._rotation.softmax_scale, self._workspace, self.pages
            self._embed = kernels.bind_embed(self.weights.embed_tokens, ws.hidden)
            self._step = step = Step(self.config, self._rotation, self.max_tokens, cache.view)
            self._layers = [
                Layer(w, number, self.config, scale, ws, cache.view, step)
                for number, w in enumerate(self.weights.layers)
            ]
            self._head = Head(self.weights, self.config, ws)
            self._bound_to = context
