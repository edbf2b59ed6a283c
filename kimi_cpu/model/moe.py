"""Feed-forward parts: the dense MLP, and the mixture of experts (DeepSeek-V3 report, sec. 2.1.2)."""

from .. import kernels
from ..config import ModelConfig
from .weights import MlpWeights, MoeWeights
from .workspace import Workspace


def mlp(w: MlpWeights, workspace: Workspace, num_tokens: int) -> None:
    """hidden f32[T, H] += down(silu(gate x) * (up x)) of the workspace's normed x."""
    inner = workspace.mlp[w.gate_proj.rows].rows(num_tokens)
    kernels.gate_up(w.gate_proj, w.up_proj, workspace.normed.rows(num_tokens), inner)
    kernels.linear((w.down_proj,), inner, (workspace.hidden[:num_tokens],), add=True)


class Moe:
    """hidden f32[T, H] += sum of the chosen experts, weighted, + the shared experts, of the workspace's normed x."""

    def __init__(self, config: ModelConfig, workspace: Workspace):
        self.config, self.workspace = config, workspace

    def __call__(self, w: MoeWeights, num_tokens: int) -> None:
        c, ws = self.config, self.workspace
        normed, hidden = ws.normed.rows(num_tokens), ws.hidden[:num_tokens]
        ids, weights = ws.expert_ids[:num_tokens], ws.expert_weights[:num_tokens]  # [T, k]
        kernels.route(
            normed.x,
            w.gate,
            w.e_score_correction_bias,
            c.num_experts_per_tok,
            c.n_group,
            c.topk_group,
            c.norm_topk_prob,
            c.routed_scaling_factor,
            ids,
            weights,
        )
        kernels.experts(w.experts, normed, ids, weights, ws.routed.rows(num_tokens * c.num_experts_per_tok), hidden)
        if w.shared_experts is not None:
            mlp(w.shared_experts, ws, num_tokens)
