"""INT4 as the checkpoint stores it, inside training: the forward pass sees rounded weights, the gradient passes."""

import torch

GROUP = 32


@torch.no_grad()
def int4(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(codes f32[..., G, 32] in -8..7, scales f32[..., G, 1] that BF16 holds) of f32[..., C]: absmax / 7.5 a group."""
    groups = weights.unflatten(-1, (-1, GROUP))
    scales = (groups.abs().amax(-1, keepdim=True) / 7.5).bfloat16().float()
    codes = (groups / scales.clamp_min(1e-30)).round_().clamp_(-8, 7)
    return codes, scales


class _Int4(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights):
        codes, scales = int4(weights)
        return codes.mul_(scales).flatten(-2)

    @staticmethod
    def backward(ctx, grad):
        return grad


def int4_straight_through(weights: torch.Tensor) -> torch.Tensor:
    """The values that INT4 holds, f32 of the same shape; the gradient is the identity's."""
    return _Int4.apply(weights)
