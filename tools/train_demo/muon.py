"""Muon for matrices (Jordan et al., 2024: momentum, orthogonalised by a Newton-Schulz iteration), Adam for the rest."""

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonalise(g: torch.Tensor) -> torch.Tensor:
    """Nearly the orthogonal factor of g f32[..., R, C]: singular values become about 1. Computed in BF16, which the
    iteration bears."""
    a, b, c = COEFFICIENTS
    tall = g.shape[-2] > g.shape[-1]
    x = (g.mT if tall else g).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Nesterov momentum; a matrix moves by lr * sqrt(max(1, rows / cols)) * its orthogonalised momentum."""

    def __init__(self, params, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for p in group["params"]:
                alike.setdefault(p.shape, []).append(p)
            for shape, parameters in alike.items():  # together: a GPU waits for small products one by one
                self._step(group, shape, parameters)

    def _step(self, group: dict, shape: torch.Size, parameters: list[torch.nn.Parameter]) -> None:
        size = max(1, shape[-2] / shape[-1]) ** 0.5
        looked_ahead = []
        for p in parameters:
            state = self.state[p]
            if not state:
                state["buffer"] = torch.zeros_like(p)
            buffer = state["buffer"].lerp_(p.grad, 1 - group["momentum"])
            looked_ahead.append(p.grad.lerp(buffer, group["momentum"]))
        for p, update in zip(parameters, orthogonalise(torch.stack(looked_ahead)), strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.sub_(update * (group["lr"] * size))
