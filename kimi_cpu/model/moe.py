"""Feed-forward parts: the dense MLP, and the mixture of experts (DeepSeek-V3 report, sec. 2.1.2)."""

from .. import kernels
from ..config import ModelConfig
from .weights import MlpWeights, MoeWeights
from .workspace import Workspace


class Mlp:
    """hidden f32[T, H] += down(silu(gate x) * (up x)) of the workspace's normed x."""

    def __init__(self, w: MlpWeights, ws: Workspace):
        inner = ws.mlp[w.gate_proj.rows]
        self._gate_up = kernels.bind_gate_up(w.gate_proj, w.up_proj, ws.normed, inner)
        self._down = kernels.bind_linear((w.down_proj,), inner, (ws.hidden,), add=True)

    def __call__(self, num_tokens: int) -> None:
        self._gate_up(num_tokens)
        self._down(num_tokens)


class Moe:
    """hidden f32[T, H] += sum of the chosen experts, weighted, + the shared experts, of the workspace's normed x."""

    def __init__(self, w: MoeWeights, config: ModelConfig, ws: Workspace):
        c, ids, weights = config, ws.expert_ids, ws.expert_weights  # [T, k]
        routing = kernels.Routing(
            c.num_experts_per_tok, c.n_group, c.topk_group, c.norm_topk_prob, c.routed_scaling_factor
        )
        self._route = kernels.bind_route(ws.normed.x, w.gate, w.e_score_correction_bias, routing, ids, weights)
        self._experts = kernels.bind_experts(w.experts, ws.normed, ids, weights, ws.routed, ws.hidden)
        self._shared = None if w.shared_experts is None else Mlp(w.shared_experts, ws)

    def __call__(self, num_tokens: int) -> None:
        self._route(num_tokens)
        self._experts(num_tokens)
        if self._shared is not None:
            self._shared(num_tokens)
