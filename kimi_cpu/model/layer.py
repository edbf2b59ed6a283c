"""One decoder layer (DeepSeek-V3 report, fig. 2; modeling_deepseek_v3.py: DeepseekV3DecoderLayer)."""

from ..config import ModelConfig
from ..kernels import Cache, Program, Recorder
from .attention import attention
from .moe import Residency, mlp, moe
from .weights import LayerWeights, MoeWeights
from .workspace import StepArgs, Workspace


def record_layer(
    w: LayerWeights,
    layer: int,
    config: ModelConfig,
    ws: Workspace,
    step: StepArgs,
    cache: Cache,
    cache_layer: int,
    residency: Residency | None,
) -> Program:
    """The program of a layer: the workspace's hidden f32[T, H], the T rows of a step, goes through it."""
    k, T, eps = Recorder(), step.rows, config.rms_norm_eps

    k.rms_norm(ws.hidden, w.input_layernorm, eps, ws.normed, rows=T)  # [T, H]
    attention(k, w.attention, config, ws, step, cache, cache_layer)  # hidden [T, H] += attention(normed)
    k.rms_norm(ws.hidden, w.post_attention_layernorm, eps, ws.normed, rows=T)  # [T, H]
    if isinstance(w.mlp, MoeWeights):
        moe(k, w.mlp, config, ws, step, layer, residency)  # hidden [T, H] += moe(normed)
    else:
        mlp(k, w.mlp, ws, step)  # hidden [T, H] += mlp(normed)
    return k.compile()
