"""The network in plain float32 torch: DeepSeek-V3's architecture, named and computed as kimi_cpu/model does it.

Everything is one autograd graph of a few large operations a layer, whose shapes do not depend on the data: a GPU
replays it without the host.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from kimi_cpu.config import ModelConfig
from kimi_cpu.model import rope

from .fake_quant import int4_straight_through

LATENT_NORM_EPS = 1e-6  # modeling_deepseek.py keeps the class default for q_a_layernorm and kv_a_layernorm


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return F.rms_norm(x.float(), (x.shape[-1],), weight, eps)


@dataclass
class Rotations:
    """cos, sin f32[N, 1, R / 2] of the tokens' positions."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x f32[N, heads, R] turned; pairs lie side by side (rope_interleave)."""
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * self.cos - b * self.sin, a * self.sin + b * self.cos), -1).flatten(-2)


@dataclass
class Documents:
    """How the documents of a batch lie one after the other: each sees only itself.

    positions: i64[N], of the tokens in their documents; begins: i32[D + 1], where each document begins and at last N
    (documents may be empty); longest: no document has more tokens.
    """

    positions: torch.Tensor
    begins: torch.Tensor
    longest: int

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        """q, k, v [N, heads, D] -> [N, heads * D]: a token sees its document up to itself."""
        if q.is_cuda:
            q, k, v = (y.bfloat16() for y in (q, k, v))
            begins, longest = self.begins, self.longest
            out, *_ = torch.ops.aten._flash_attention_forward(
                q, k, v, begins, begins, longest, longest, 0.0, True, False, scale=scale
            )
            return out.flatten(1)
        out = []
        parts = [y.float().split(self.begins.diff().tolist()) for y in (q, k, v)]
        for rows in zip(*parts, strict=True):
            rows = [y.transpose(0, 1)[None] for y in rows]
            with torch.autocast("cpu", enabled=False):
                out.append(F.scaled_dot_product_attention(*rows, is_causal=True, scale=scale)[0].transpose(0, 1))
        return torch.cat(out).flatten(1)


class Attention(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.c = c
        heads, latent = c.num_attention_heads, c.kv_lora_rank
        self.input_layernorm = nn.Parameter(torch.ones(c.hidden_size))
        self.q_a_proj = matrix(c.q_lora_rank, c.hidden_size)
        self.q_a_layernorm = nn.Parameter(torch.ones(c.q_lora_rank))
        self.q_b_proj = matrix(heads * c.qk_head_dim, c.q_lora_rank)
        self.kv_a_proj_with_mqa = matrix(latent + c.qk_rope_head_dim, c.hidden_size)
        self.kv_a_layernorm = nn.Parameter(torch.ones(latent))
        self.kv_b_proj = matrix(heads * (c.qk_nope_head_dim + c.v_head_dim), latent)
        self.o_proj = matrix(c.hidden_size, heads * c.v_head_dim, gain=0.5)
        self.scale = rope.softmax_scale(c.qk_head_dim, c.rope_scaling)

    def forward(self, hidden: torch.Tensor, rotate: Rotations, documents: Documents) -> torch.Tensor:
        """hidden f32[N, H] -> the same with attention added."""
        c, n = self.c, len(hidden)
        heads, nope, r = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim
        x = rms_norm(hidden, self.input_layernorm, c.rms_norm_eps)
        down = x @ torch.cat((self.q_a_proj, self.kv_a_proj_with_mqa)).T
        q_a, latent, k_rope = down.split((c.q_lora_rank, c.kv_lora_rank, r), -1)
        q = rms_norm(q_a, self.q_a_layernorm, LATENT_NORM_EPS) @ self.q_b_proj.T
        kv = rms_norm(latent, self.kv_a_layernorm, LATENT_NORM_EPS) @ self.kv_b_proj.T
        q = q.view(n, heads, nope + r)
        k_nope, v = kv.view(n, heads, nope + c.v_head_dim).split((nope, c.v_head_dim), -1)
        q = torch.cat((q[..., :nope], rotate(q[..., nope:])), -1)
        k = torch.cat((k_nope, rotate(k_rope[:, None]).expand(n, heads, r)), -1)
        return hidden + documents.attend(q, k, v, self.scale) @ self.o_proj.T


class Mlp(nn.Module):
    def __init__(self, hidden: int, width: int):
        super().__init__()
        self.gate_up = matrix(2 * width, hidden)
        self.down = matrix(hidden, width, gain=0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return swiglu(x @ self.gate_up.T) @ self.down.T


class Moe(nn.Module):
    """Sigmoid scores; the bias only chooses, and is moved after each step towards an even load (balance)."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.c = c
        n, hidden, width = c.n_routed_experts, c.hidden_size, c.moe_intermediate_size
        self.gate = nn.Parameter(torch.randn(n, hidden) * hidden**-0.5)
        self.register_buffer("e_score_correction_bias", torch.zeros(n))
        self.register_buffer("load", torch.zeros(n), persistent=False)
        self.gate_up = nn.Parameter(torch.randn(n, 2 * width, hidden) * hidden**-0.5)
        self.down = nn.Parameter(torch.randn(n, hidden, width) * 0.5 * width**-0.5)
        self.shared = Mlp(hidden, c.n_shared_experts * width)
        self.quantised = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x f32[N, H]."""
        c = self.c
        scores = torch.sigmoid(x @ self.gate.T)  # [N, E]
        chosen = (scores.detach() + self.e_score_correction_bias).topk(c.num_experts_per_tok, -1).indices  # [N, K]
        weights = scores.gather(1, chosen)
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.routed_scaling_factor
        if self.training:
            self.load.index_add_(0, chosen.flatten(), self.load.new_ones(chosen.numel()))
        gate_up, down = self.gate_up, self.down
        if self.quantised:
            gate_up, down = int4_straight_through(gate_up), int4_straight_through(down)
        # Every expert computes every token, and what was not chosen weighs nothing: two large products take less time
        # than to learn on the host how many tokens each has.
        shares = weights.new_zeros(scores.shape).scatter(1, chosen, weights)
        inner = swiglu((x @ gate_up.flatten(0, 1).T).unflatten(1, gate_up.shape[:2])) * shares[..., None]
        return self.shared(x) + inner.flatten(1) @ down.mT.flatten(0, 1)

    @torch.no_grad()
    def balance(self, speed: float) -> None:
        """Raises the bias of experts with less than the mean load since the last call, lowers the others'."""
        self.e_score_correction_bias += speed * torch.sign(self.load.mean() - self.load)
        self.load.zero_()


class Layer(nn.Module):
    def __init__(self, c: ModelConfig, index: int):
        super().__init__()
        self.attention = Attention(c)
        self.post_attention_layernorm = nn.Parameter(torch.ones(c.hidden_size))
        self.mlp = Moe(c) if c.is_moe_layer(index) else Mlp(c.hidden_size, c.intermediate_size)
        self.eps = c.rms_norm_eps

    def forward(self, hidden: torch.Tensor, rotate: Rotations, documents: Documents) -> torch.Tensor:
        hidden = self.attention(hidden, rotate, documents)
        return hidden + self.mlp(rms_norm(hidden, self.post_attention_layernorm, self.eps))


class Network(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Parameter(torch.randn(c.vocab_size, c.hidden_size) * 0.5)
        self.layers = nn.ModuleList(Layer(c, i) for i in range(c.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(c.hidden_size))
        self.lm_head = nn.Parameter(self.embed_tokens.detach() * 2 * c.hidden_size**-0.5)
        inv_freq = rope.inverse_frequencies(c.qk_rope_head_dim, c.rope_theta, c.rope_scaling)
        angles = torch.arange(c.max_position_embeddings)[:, None, None] * torch.from_numpy(inv_freq)
        factor = rope.attention_factor(c.rope_scaling)
        self.register_buffer("cos", angles.cos() * factor, persistent=False)  # f32[positions, 1, R / 2]
        self.register_buffer("sin", angles.sin() * factor, persistent=False)

    def forward(self, ids: torch.Tensor, documents: Documents) -> torch.Tensor:
        """Hidden states f32[N, H] after the last norm. ids i64[N]."""
        hidden = F.embedding(ids, self.embed_tokens)
        rotate = Rotations(*(table[documents.positions] for table in (self.cos, self.sin)))
        for layer in self.layers:
            hidden = layer(hidden, rotate, documents)
        return rms_norm(hidden, self.norm, self.c.rms_norm_eps)

    def loss(self, ids: torch.Tensor, targets: torch.Tensor, documents: Documents) -> torch.Tensor:
        """Summed cross-entropy. targets i64[N]: the id that follows, -1 where it does not count."""
        return F.cross_entropy(self(ids, documents) @ self.lm_head.T, targets, reduction="sum", ignore_index=-1)

    def moe_layers(self) -> list[Moe]:
        return [layer.mlp for layer in self.layers if isinstance(layer.mlp, Moe)]


def matrix(rows: int, cols: int, gain: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, cols) * gain * cols**-0.5)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up
