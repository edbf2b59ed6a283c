"""Multi-head latent attention (DeepSeek-V2 report, sec. 2.1; modeling_deepseek_v3.py: DeepseekV3Attention)."""

import numpy as np

from .. import kernels
from ..config import ModelConfig
from ..kernels import Cache, LastArguments
from . import rope
from .forward_batch import ForwardBatch
from .weights import AttentionWeights
from .workspace import Workspace

LATENT_NORM_EPS = (
    1e-6  # modeling_deepseek.py: q_a_layernorm and kv_a_layernorm keep the class default, not the config's
)


class Rotation:
    """Positions to rotations, and the scale of the scores: what depends on the configuration alone."""

    def __init__(self, config: ModelConfig):
        self.softmax_scale = rope.softmax_scale(config.qk_head_dim, config.rope_scaling)
        self._inv_freq = rope.inverse_frequencies(config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)
        self._attention_factor = rope.attention_factor(config.rope_scaling)

    def cos_sin(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cos, sin f32[T, R / 2] of positions i32[T]."""
        return rope.cos_sin(positions, self._inv_freq, self._attention_factor)


class Step:
    """What the calls of all layers take of a forward pass, computed once for all of them."""

    def __init__(self, config: ModelConfig, rotation: Rotation, max_tokens: int, cache: Cache):
        self.rows = LastArguments()  # number of tokens T
        self.latents = LastArguments()  # cos, sin, slots i64[T]
        self.sequences = LastArguments()  # number of decode sequences
        self.queries = LastArguments()  # the same, cos, sin
        self.pages = LastArguments()  # of the decode sequences: block tables, lengths, and kernels.plan_absorbed
        self.cos, self.sin = np.zeros((2, max_tokens, config.qk_rope_head_dim // 2), np.float32)
        self._rotation, self._heads, self._cache = rotation, config.num_attention_heads, cache
        self._planned: tuple = ()
        self._plan: tuple = ()

    def set(self, batch: ForwardBatch) -> None:
        """For a batch."""
        num_tokens, n = len(batch.token_ids), batch.num_decode_seqs
        self.cos[:num_tokens], self.sin[:num_tokens] = self._rotation.cos_sin(batch.positions)
        self.rows.set(num_tokens)
        self.latents.set(self.cos, self.sin, batch.slot_mapping)
        if n:
            lens = batch.seq_lens[:n]
            shape = n, kernels.num_splits(lens)
            if shape != self._planned:
                self._planned, self._plan = shape, kernels.plan_absorbed(self._cache, self._heads, *shape)
            self.sequences.set(n)
            self.queries.set(n, self.cos, self.sin)
            self.pages.set(batch.block_tables[:n], lens, *self._plan)


class Attention:
    """One layer's attention, bound to its weights, the workspace and the cache.

    hidden f32[T, H] of the workspace += attention(norm(hidden)); the tokens' latents go into the cache. In order: the
    calls `latents`, those of `absorbed` if there are decode sequences, `expanded` if there are other tokens, `output`.
    """

    def __init__(
        self, w: AttentionWeights, layer: int, eps: float, scale: float, ws: Workspace, cache: Cache, step: Step
    ):
        """eps: of the input's norm; scale: multiplier of the scores."""
        self._weights, self._layer, self._scale, self._workspace, self._cache = w, layer, scale, ws, cache
        input_norm = kernels.bind_rms_norm(ws.hidden, w.input_layernorm, eps, ws.normed)
        if w.q_a_proj is None:
            down = kernels.bind_linear((w.q_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q, ws.ckv))
            query: tuple = ()
        else:
            down = kernels.bind_linear((w.q_a_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q_a, ws.ckv))
            query = (
                kernels.bind_rms_norm(ws.q_a, w.q_a_layernorm, LATENT_NORM_EPS, ws.q_latent),
                kernels.bind_linear((w.q_proj,), ws.q_latent, (ws.q,)),  # [T, A * (N + R)]
            )
        write = kernels.bind_write_latents(ws.ckv, w.kv_a_layernorm, LATENT_NORM_EPS, cache, layer)
        self.latents = [*((call, step.rows) for call in (input_norm, down, *query)), (write, step.latents)]
        # Decode: queries are taken into the latent space, so that every page is read once for all heads.
        absorb = kernels.bind_absorb_queries(w.k_b_proj, ws.heads_q, ws.q_absorbed)  # [n, A, L + R]
        attend = kernels.bind_attend_absorbed(ws.q_absorbed, cache, layer, scale, ws.latent_out)  # [n, A, L]
        project = kernels.bind_project_values(w.v_b_proj, ws.latent_out, ws.heads_out)
        self.absorbed = [(absorb, step.queries), (attend, step.pages), (project, step.sequences)]
        self.output = [(kernels.bind_linear((w.o_proj,), ws.heads_out, (ws.hidden,), add=True), step.rows)]

    def expanded(self, batch: ForwardBatch, step: Step) -> None:
        """Prefill: keys and values are rebuilt from the latents, 3.4 times fewer multiplications a pair."""
        w, ws, n, num_tokens = self._weights, self._workspace, batch.num_decode_seqs, len(batch.token_ids)
        kernels.attend_expanded(
            w.k_b_proj,
            w.v_b_proj,
            ws.heads_q[n:num_tokens],
            step.cos[n:num_tokens],
            step.sin[n:num_tokens],
            batch.query_start_loc[n:] - n,
            batch.seq_lens[n:],
            self._cache,
            self._layer,
            batch.block_tables[n:],
            self._scale,
            ws.heads_out.rows(n, num_tokens),
        )
