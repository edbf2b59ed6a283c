"""Feed-forward parts: the dense MLP, and the mixture of experts (DeepSeek-V3 report, sec. 2.1.2)."""

from .. import kernels
from ..config import ModelConfig
from ..kernels import Bound
from .weights import MlpWeights, MoeWeights
from .workspace import Workspace


def mlp(w: MlpWeights, ws: Workspace) -> list[Bound]:
    """hidden f32[T, H] += down(silu(gate x) * (up x)) of the workspace's normed x."""
    inner = ws.mlp[w.gate_proj.rows]
    return [
        kernels.bind_gate_up(w.gate_proj, w.up_proj, ws.normed, inner),
        kernels.bind_linear((w.down_proj,), inner, (ws.hidden,), add=True),
    ]


def moe(w: MoeWeights, config: ModelConfig, ws: Workspace) -> list[Bound]:
    """hidden f32[T, H] += sum of the chosen experts, weighted, + the shared experts, of the workspace's normed x."""
    c, ids, weights = config, ws.expert_ids, ws.expert_weights  # [T, k]
    routing = kernels.Routing(c.num_experts_per_tok, c.n_group, c.topk_group, c.norm_topk_prob, c.routed_scaling_factor)
    shared = None
    if w.shared_experts is not None:
        m = w.shared_experts
        shared = kernels.SharedExpert(m.gate_proj, m.up_proj, m.down_proj, ws.mlp[m.gate_proj.rows])
    return [
        kernels.bind_route(ws.normed.x, w.gate, w.e_score_correction_bias, routing, ids, weights),
        kernels.bind_experts(w.experts, ws.normed, ids, weights, ws.routed, ws.hidden, shared=shared),
    ]
