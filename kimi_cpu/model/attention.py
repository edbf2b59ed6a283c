"""Multi-head latent attention (DeepSeek-V3 report, sec. 2.1.1; modeling_deepseek_v3.py: DeepseekV3Attention)."""

from ..config import ModelConfig
from ..kernels import Cache, Recorder
from . import rope
from .weights import AttentionWeights
from .workspace import StepArgs, Workspace

# modeling_deepseek.py: q_a_layernorm and kv_a_layernorm keep the class default, not the config's
LATENT_NORM_EPS = 1e-6


def attention(
    k: Recorder, w: AttentionWeights, config: ModelConfig, ws: Workspace, step: StepArgs, cache: Cache, layer: int
) -> None:
    """hidden [T, H] += attention of normed [T, H]; the tokens' latents go into a layer of the cache.

    A heads of N values without and R with position, and V of results; L kv_lora_rank, Q q_lora_rank. Of T tokens the
    first D are generated ones, the other P a prompt's. Numbers in brackets are the report's equations.
    """
    T, D, P = step.rows, step.decode_rows, step.prompt_rows
    q, cos, sin, out = ws.heads_q, step.cos, step.sin, ws.heads_out
    eps, scale = LATENT_NORM_EPS, rope.softmax_scale(config.qk_head_dim, config.rope_scaling)

    # Queries (6, 7), and what is kept of keys and values (1, 3): their latent, normalised, and one rotated key.
    if w.q_a_proj is None or w.q_a_layernorm is None:
        k.linear((w.q_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q, ws.ckv), rows=T)  # [T, A * (N + R)], [T, L + R]
    else:
        k.linear((w.q_a_proj, w.kv_a_proj_with_mqa), ws.normed, (ws.q_a, ws.ckv), rows=T)  # [T, Q], [T, L + R]
        k.rms_norm(ws.q_a, w.q_a_layernorm, eps, ws.q_latent, rows=T)  # [T, Q]
        k.linear((w.q_proj,), ws.q_latent, (ws.q,), rows=T)  # [T, A * (N + R)]
    k.write_latents(ws.ckv, w.kv_a_layernorm, eps, cos, sin, step.slots, cache, layer, rows=T)  # [T, L + R]

    # Generated tokens (2, 4, 5, 8 to 10), absorbed: queries are taken into the latent space, so that every page is
    # read once for all heads.
    tables, lens, plan = step.decode_tables, step.decode_lens, step.decode_plan
    k.absorb_queries(w.k_b_proj, q, cos, sin, ws.q_absorbed, rows=D)  # [D, A, L + R]
    k.attend_absorbed(ws.q_absorbed, cache, layer, tables, lens, scale, ws.latent_out, plan, rows=D)  # [D, A, L]
    k.project_values(w.v_b_proj, ws.latent_out, out, rows=D)  # [D, A * V]

    # A prompt's tokens (2, 4, 5, 8 to 10), expanded: keys and values are rebuilt from the latents, 3.4 times fewer
    # multiplications a pair.
    starts, lens, tables = step.prompt_starts, step.prompt_lens, step.prompt_tables
    pages = cache, layer, tables
    k.attend_expanded(w.k_b_proj, w.v_b_proj, q, cos, sin, starts, lens, *pages, scale, out, rows=P)  # [P, A * V]

    k.linear((w.o_proj,), out, (ws.hidden,), add=True, rows=T)  # [T, H] (11)
