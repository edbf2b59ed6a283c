"""Muon for matrices, Adam for the rest; everything that changes from step to step is a tensor, so that a CUDA graph can
hold a step."""

import torch

from . import recipe
from .muon import Muon
from .network import Network

ADAM_NAMES = ("embed_tokens", "lm_head", "mlp.gate")


class Optimiser:
    """Both optimisers of a network, over one buffer of gradients."""

    def __init__(self, network: Network):
        named = list(network.named_parameters())
        device = named[0][1].device
        adam = [p for name, p in named if p.ndim < 2 or name.endswith(ADAM_NAMES)]
        matrices = [p for _, p in named if not any(p is q for q in adam)]
        self._gradients = torch.zeros(sum(p.numel() for _, p in named), device=device)
        at = 0
        for _, p in named:
            p.grad = self._gradients[at : at + p.numel()].view_as(p)
            at += p.numel()
        self.muon_lr, self.adam_lr = torch.zeros((), device=device), torch.zeros((), device=device)
        self._muon = Muon(matrices, lr=self.muon_lr, weight_decay=recipe.WEIGHT_DECAY)
        graphed = device.type == "cuda"
        self._adam = torch.optim.Adam(adam, lr=self.adam_lr, betas=(0.9, 0.95), eps=1e-10, capturable=graphed)

    def step(self, counted: torch.Tensor) -> None:
        """One step with the summed gradients of so many counted tokens, which are cleared."""
        self._gradients /= counted
        self._muon.step()
        self._adam.step()
        self._gradients.zero_()

    def state(self) -> dict:
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load(self, state: dict) -> None:
        for optimiser, name, lr in ((self._muon, "muon", self.muon_lr), (self._adam, "adam", self.adam_lr)):
            optimiser.load_state_dict(state[name])
            optimiser.param_groups[0]["lr"] = lr
