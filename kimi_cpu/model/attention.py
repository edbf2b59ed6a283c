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


class Positions(NamedTuple):
    """Rotations of the step's tokens: cos, sin f32[T, R / 2]."""

    cos: np.ndarray
    sin: np.ndarray


class Attention:
    """The same for every layer: what depends on the configuration alone."""

    def __init__(self, config: ModelConfig, workspace: Workspace):
        self.eps = config.rms_norm_eps
        self.softmax_scale = rope.softmax_scale(config.qk_head_dim, config.rope_scaling)
        self.inv_freq = rope.inverse_frequencies(config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)
        self.attention_factor = rope.attention_factor(config.rope_scaling)
        self.workspace = workspace

    def positions(self, batch: ForwardBatch) -> Positions:
        """The rotations of a step, computed once for all layers."""
        return Positions(*rope.cos_sin(batch.positions, self.inv_freq, self.attention_factor))

    def __call__(self, w: AttentionWeights, layer: int, batch: ForwardBatch, at: Positions, cache: Cache) -> None:
        """hidden f32[T, H] of the workspace += attention(norm(hidden)); the tokens' latents go into the cache."""
        ws, num_tokens = self.workspace, len(batch.token_ids)
        hidden, ckv, q = ws.hidden[:num_tokens], ws.ckv[:num_tokens], ws.q[:num_tokens]
        normed = ws.normed.rows(num_tokens)
        kernels.rms_norm(hidden, w.input_layernorm, self.eps, normed)
        if w.q_a_proj is None:
            kernels.linear((w.q_proj, w.kv_a_proj_with_mqa), normed, (q, ckv))
        else:
            q_a, q_latent = ws.q_a[:num_tokens], ws.q_latent.rows(num_tokens)
            kernels.linear((w.q_a_proj, w.kv_a_proj_with_mqa), normed, (q_a, ckv))
            kernels.rms_norm(q_a, w.q_a_layernorm, LATENT_NORM_EPS, q_latent)
            kernels.linear((w.q_proj,), q_latent, (q,))  # [T, A * (N + R)]
        kernels.write_latents(ckv, w.kv_a_layernorm, LATENT_NORM_EPS, at.cos, at.sin, batch.slot_mapping, cache, layer)
        if batch.num_decode_seqs:
            self._absorbed(w, layer, batch, at, cache)
        if num_tokens > batch.num_decode_seqs:
            self._expanded(w, layer, batch, at, cache)
        kernels.linear((w.o_proj,), ws.heads_out.rows(num_tokens), (hidden,), add=True)

    def _absorbed(self, w: AttentionWeights, layer: int, batch: ForwardBatch, at: Positions, cache: Cache) -> None:
        """Decode: queries are taken into the latent space, so that every page is read once for all heads."""
        ws, n = self.workspace, batch.num_decode_seqs
        q_absorbed, latent_out = ws.q_absorbed[:n], ws.latent_out[:n]  # [n, A, L + R], [n, A, L]
        kernels.absorb_queries(w.k_b_proj, ws.heads_q[:n], at.cos[:n], at.sin[:n], q_absorbed)
        kernels.attend_absorbed(
            q_absorbed, cache, layer, batch.block_tables[:n], batch.seq_lens[:n], self.softmax_scale, latent_out
        )
        kernels.project_values(w.v_b_proj, latent_out, ws.heads_out.rows(n))

    def _expanded(self, w: AttentionWeights, layer: int, batch: ForwardBatch, at: Positions, cache: Cache) -> None:
        """Prefill: keys and values are rebuilt from the latents, 3.4 times fewer multiplications a pair."""
        ws, n, num_tokens = self.workspace, batch.num_decode_seqs, len(batch.token_ids)
        kernels.attend_expanded(
            w.k_b_proj,
            w.v_b_proj,
            ws.heads_q[n:num_tokens],
            at.cos[n:],
            at.sin[n:],
            batch.query_start_loc[n:] - n,
            batch.seq_lens[n:],
            cache,
            layer,
            batch.block_tables[n:],
            self.softmax_scale,
            ws.heads_out.rows(n, num_tokens),
        )
