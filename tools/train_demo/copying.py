"""A start from which copying need not be found: attention heads that look for what followed the present token before.

Networks of this size learn to copy late and all at once, after millions of tokens, and every task here needs it. So
the first layer begins with a head that brings along the token before each position, and each later layer with one that
compares the present token with those, and says what followed (induction heads: Olsson et al., 2022). Training changes
them as it likes.

The residual stream's channel 0 is a constant, 160..223 take the token before, and the embedding has the others.
"""

import math

import torch

from .network import Attention, Network

CONSTANT, CONSTANT_SIZE = 0, 2.0
BEFORE = slice(160, 224)  # 64 channels: the width of a head's values
ROTATING_PAIRS = 6  # of the rotated pairs, those that tell neighbours apart
SHARPNESS_BEFORE, SHARPNESS_SAME = 40.0, 18.0  # logits of a perfect match
OUT = 3.0  # how loudly it is said; the residual stream holds the present token too


@torch.no_grad()
def begin_with_copying(network: Network) -> None:
    """Overwrites the initial embedding, and head 0 of every layer's attention."""
    c = network.c
    embed = network.embed_tokens
    embed[:, BEFORE] = 0
    embed[:, CONSTANT] = CONSTANT_SIZE * embed.std()
    network.lm_head.copy_(embed * 2 * c.hidden_size**-0.5)
    network.lm_head[:, CONSTANT] = 0
    for layer in network.layers:
        layer.attention.o_proj.mul_(0.1)
        for name, p in layer.mlp.named_parameters():
            if name.endswith("down"):
                p.mul_(0.1)
    words = [i for i in range(c.hidden_size) if i != CONSTANT and not BEFORE.start <= i < BEFORE.stop]
    code = _orthonormal(64, len(words))  # how the token before is written down
    into_code = torch.zeros(64, c.hidden_size)
    into_code[:, words] = code
    _bring_the_token_before(network.layers[0].attention, into_code)
    for layer in network.layers[1:]:
        values = torch.zeros(32, c.hidden_size)
        values[:, words] = _orthonormal(32, len(words))
        _say_what_followed(layer.attention, into_code, values)


def _bring_the_token_before(attention: Attention, into_code: torch.Tensor) -> None:
    """Head 0: constant queries and keys whose rotations agree at a distance of one."""
    c = attention.c
    heads, nope, r, latent = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank
    size = math.sqrt(SHARPNESS_BEFORE / attention.scale / ROTATING_PAIRS)
    key, query = torch.zeros(r), torch.zeros(r)
    for pair in range(ROTATING_PAIRS):  # a query turned back by one step
        angle = -(c.rope_theta ** (-2 * pair / r))
        key[2 * pair] = size
        query[2 * pair], query[2 * pair + 1] = size * math.cos(angle), size * math.sin(angle)
    seen = CONSTANT_SIZE  # the constant's size after the norm, about
    attention.kv_a_proj_with_mqa[latent:] = 0
    attention.kv_a_proj_with_mqa[latent:, CONSTANT] = key / seen
    attention.kv_a_proj_with_mqa[:64] = into_code
    attention.q_a_proj[0] = 0
    attention.q_a_proj[0, CONSTANT] = 4  # the latent norm leaves it nearly as it is
    head = attention.q_b_proj[: nope + r]
    head.zero_()
    head[nope:, 0] = query / _normed_size(attention.q_a_proj, 4 * seen)
    kv = attention.kv_b_proj.view(heads, nope + c.v_head_dim, latent)
    kv[0].zero_()
    kv[0, nope:, :64] = torch.eye(64)
    attention.o_proj[:, :64] = 0
    attention.o_proj[BEFORE, :64] = torch.eye(64)


def _normed_size(projection: torch.Tensor, value: float) -> float:
    """What the norm makes of one large latent among random ones of about size 1."""
    rank = projection.shape[0]
    return value / math.sqrt((value**2 + (rank - 1) * (projection[1:].norm() ** 2 / (rank - 1)).item()) / rank)


def _say_what_followed(attention: Attention, into_code: torch.Tensor, values: torch.Tensor) -> None:
    """Head 0: queries are the present token's code, keys the code of the token before, values the key's own token."""
    c = attention.c
    heads, nope, r, latent = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank
    attention.q_a_proj[:64] = into_code * 1.5
    attention.kv_a_proj_with_mqa[:64] = 0
    attention.kv_a_proj_with_mqa[:64, BEFORE] = torch.eye(64) * 1.5
    attention.kv_a_proj_with_mqa[64:96] = values
    compare = _orthonormal(nope, 64) * math.sqrt(SHARPNESS_SAME / attention.scale / nope)
    head = attention.q_b_proj[: nope + r]
    head.zero_()
    head[:nope, :64] = compare
    kv = attention.kv_b_proj.view(heads, nope + c.v_head_dim, latent)
    kv[0].zero_()
    kv[0, :nope, :64] = compare
    kv[0, nope : nope + 32, 64:96] = torch.eye(32)
    attention.o_proj[:, : c.v_head_dim] = 0
    attention.o_proj[:, :32] = values.T * OUT


def _orthonormal(rows: int, cols: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(cols, rows)).Q.T
