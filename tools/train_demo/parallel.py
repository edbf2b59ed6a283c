"""Training on several cores: one process each, its share of the batch, and its share of Muon's work.

Two processes of one thread take 1.3 times less time than one process of two threads: they wait for each other once a
step and not once an operation. All parameters lie in one buffer, each process's matrices side by side.
"""

import torch
import torch.distributed as dist

from .muon import Muon
from .network import Network
from .recipe import WEIGHT_DECAY

ADAM_NAMES = ("embed_tokens", "lm_head", "mlp.gate")


class Optimiser:
    """Muon for matrices, Adam for the rest, over one flat buffer of parameters and one of gradients."""

    def __init__(self, network: Network, rank: int, processes: int):
        self.rank, self.processes = rank, processes
        named = list(network.named_parameters())
        adam = [p for name, p in named if p.ndim < 2 or name.endswith(ADAM_NAMES)]
        matrices = sorted((p for _, p in named if not any(p is q for q in adam)), key=torch.numel, reverse=True)
        shares: list[list[torch.nn.Parameter]] = [[] for _ in range(processes)]
        for p in matrices:
            min(shares, key=lambda share: sum(q.numel() for q in share)).append(p)
        ordered = [p for share in shares for p in share] + adam
        self.values = torch.empty(sum(p.numel() for p in ordered))
        self.gradients = torch.zeros_like(self.values)
        self.bounds, at = [0], 0
        for i, p in enumerate(ordered):
            part = slice(at, at + p.numel())
            self.values[part] = p.detach().flatten()
            p.data, p.grad = self.values[part].view_as(p), self.gradients[part].view_as(p)
            at += p.numel()
            if i + 1 == sum(map(len, shares[: len(self.bounds)])):
                self.bounds.append(at)
        self.muon = Muon(shares[rank], weight_decay=WEIGHT_DECAY)
        self.adam = torch.optim.Adam(adam, betas=(0.9, 0.95), eps=1e-10)

    def step(self, counted: int, muon_lr: float, adam_lr: float) -> None:
        """One step with the processes' summed gradients. counted: targets of this process."""
        total = torch.tensor([float(counted)])
        dist.all_reduce(total)
        dist.all_reduce(self.gradients)
        self.gradients.div_(total)
        self.muon.param_groups[0]["lr"], self.adam.param_groups[0]["lr"] = muon_lr, adam_lr
        self.muon.step()
        self.adam.step()
        for rank in range(self.processes):
            dist.broadcast(self.values[self.bounds[rank] : self.bounds[rank + 1]], rank)
        self.gradients.zero_()

    def state(self) -> dict:
        return {"values": self.values, "muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load(self, state: dict) -> None:
        self.values.copy_(state["values"])
        for optimiser, name in ((self.muon, "muon"), (self.adam, "adam")):
            optimiser.load_state_dict(state[name])


def mean(value: float) -> float:
    """The processes' mean."""
    total = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(total)
    return total.item() / dist.get_world_size()
