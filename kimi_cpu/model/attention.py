"""Multi-head latent attention (DeepSeek-V2 report, sec. 2.1; modeling_deepseek_v3.py: DeepseekV3Attention)."""

from typing import NamedTuple

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import Cache
from . import rope
from .forward_batch import ForwardBatch
from .weights import AttentionWeights
from .workspace import Workspace

LATENT_NORM_EPS = (
    1e-6  # modeling_deepseek.py: q_a_layernorm and kv_a_layernorm keep the class default, not the config's
)


class Step(NamedTuple):
    """What all layers of a forward pass share: rotations cos, sin f32[T, R / 2], and room for absorbed attention."""

    cos: np.ndarray
    sin: np.ndarray
    absorbed: tuple


class Rotation:
    """Positions to rotations, and the scale of the scores: what depends on the configuration alone."""

    def __init__(self, config: ModelConfig):
        self.softmax_scale = rope.softmax_scale(config.qk_head_dim, config.rope_scaling)
        self._inv_freq = rope.inverse_frequencies(config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)
        self._attention_factor = rope.attention_factor(config.rope_scaling)
        self._heads = config.num_attention_heads

    def step(self, batch: ForwardBatch, cache: Cache) -> Step:
        """Computed once for all layers."""
        cos, sin = rope.cos_sin(batch.positions, self._inv_freq, self._attention_factor)
        n = batch.num_decode_seqs
        absorbed = kernels.plan_absorbed(cache, self._heads, batch.seq_lens[:n]) if n else ()
        return Step(cos, sin, absorbed)


class Attention:
    """One layer's attention, bound to its weights, the workspace and the cache."""

    def __init__(self, w: AttentionWeights, layer: int, eps: float, scale: float, ws: Workspace, cache: Cache):
        """eps: of the input's norm; scale: multiplier of the scores."""
        self._weights, self._layer, self._scale, self._workspace, self._cache = w, layer, scale, ws, cache
        self._input_norm = kernels.bind_rms_norm(ws.hidden, w.input_layernorm, eps, ws.normed)
        if w.q_a_proj is None:
            self._down = kernels.bind_linear((w.q_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q, ws.ckv))
            self._query: tuple = ()
        else:
            self._down = kernels.bind_linear((w.q_a_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q_a, ws.ckv))
            self._query = (
                kernels.bind_rms_norm(ws.q_a, w.q_a_layernorm, LATENT_NORM_EPS, ws.q_latent),
                kernels.bind_linear((w.q_proj,), ws.q_latent, (ws.q,)),  # [T, A * (N + R)]
            )
        self._write = kernels.bind_write_latents(ws.ckv, w.kv_a_layernorm, LATENT_NORM_EPS, cache, layer)
        self._absorb = kernels.bind_absorb_queries(w.k_b_proj, ws.heads_q, ws.q_absorbed)  # [n, A, L + R]
        self._attend = kernels.bind_attend_absorbed(ws.q_absorbed, cache, layer, scale, ws.latent_out)  # [n, A, L]
        self._project = kernels.bind_project_values(w.v_b_proj, ws.latent_out, ws.heads_out)
        self._output = kernels.bind_linear((w.o_proj,), ws.heads_out, (ws.hidden,), add=True)

    def __call__(self, batch: ForwardBatch, step: Step) -> None:
        """hidden f32[T, H] of the workspace += attention(norm(hidden)); the tokens' latents go into the cache."""
        num_tokens = len(batch.token_ids)
        self._input_norm(num_tokens)
        self._down(num_tokens)
        for operation in self._query:
            operation(num_tokens)
        self._write(step.cos, step.sin, batch.slot_mapping)
        if batch.num_decode_seqs:
            self._absorbed(batch, step)
        if num_tokens > batch.num_decode_seqs:
            self._expanded(batch, step)
        self._output(num_tokens)

    def _absorbed(self, batch: ForwardBatch, step: Step) -> None:
        """Decode: queries are taken into the latent space, so that every page is read once for all heads."""
        n = batch.num_decode_seqs
        self._absorb(n, step.cos, step.sin)
        self._attend(batch.block_tables[:n], batch.seq_lens[:n], *step.absorbed)
        self._project(n)

    def _expanded(self, batch: ForwardBatch, step: Step) -> None:
        """Prefill: keys and values are rebuilt from the latents, 3.4 times fewer multiplications a pair."""
        w, ws, n, num_tokens = self._weights, self._workspace, batch.num_decode_seqs, len(batch.token_ids)
        kernels.attend_expanded(
            w.k_b_proj,
            w.v_b_proj,
            ws.heads_q[n:num_tokens],
            step.cos[n:],
            step.sin[n:],
            batch.query_start_loc[n:] - n,
            batch.seq_lens[n:],
            self._cache,
            self._layer,
            batch.block_tables[n:],
            self._scale,
            ws.heads_out.rows(n, num_tokens),
        )
