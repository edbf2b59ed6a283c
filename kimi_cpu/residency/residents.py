"""Which expert has which slot: those that stay, those that only pass, and who leaves.

A key names an expert of a layer: layer * num_experts + expert.
"""

from collections.abc import Mapping, Set
from typing import NamedTuple

import numpy as np

from .memory import Slots
from .policy import COLDEST, Policy


class LayerExperts(NamedTuple):
    """A layer's experts. offset, stride: of the first in the file, and from each to the next, in bytes. front: so many
    bytes of each, whole sectors, begin with its gate and up. address i64[E]: where they are in memory; 0: nowhere."""

    offset: int
    stride: int
    front: int
    address: np.ndarray


class Residents:
    """The experts that have slots. An expert that stays is the policy's to give up, one that is pinned is so only when
    slots are closed, one that passes is dropped when it has been used."""

    def __init__(self, layers: Mapping[int, LayerExperts], slots: Slots, policy: Policy, num_passing: int):
        """layers: by their number; all have the same number of experts, which fit into the slots. num_passing: of the
        slots, those that no expert stays in."""
        self.layers, self.slots, self.policy, self.num_passing = layers, slots, policy, num_passing
        self.num_experts = len(next(iter(layers.values())).address)
        self.passing: set[int] = set()
        self._slot: dict[int, int] = {}
        self._pinned: dict[int, None] = {}  # most used first; the policy knows nothing of them
        for layer in layers.values():
            layer.address[:] = 0

    @property
    def num_staying(self) -> int:
        """The slots that experts stay in."""
        return self.slots.num_open - self.num_passing

    @property
    def count(self) -> int:
        """Experts in the model."""
        return len(self.layers) * self.num_experts

    def __contains__(self, key: int) -> bool:
        return key in self._slot

    def place(self, key: int) -> tuple[int, np.ndarray, int]:
        """Where an expert that has a slot begins in the file, the bytes of memory that are its own, and how many of
        them have its gate and up."""
        number, expert = divmod(key, self.num_experts)
        layer = self.layers[number]
        return layer.offset + expert * layer.stride, self.slots.room(self._slot[key])[: layer.stride], layer.front

    def pin(self, keys: list[int]) -> None:
        """These stay, when they come, whatever the policy says. Before any of them has a slot."""
        self._pinned = dict.fromkeys(keys)

    def admit(self, key: int) -> bool:
        """Gives an expert a free slot, in which it passes unless it is kept; False: there is none now."""
        if not self.slots.num_free:
            return False
        self._slot[key] = self.slots.take()
        self.passing.add(key)
        return True

    def keep(self, key: int, busy: Set[int]) -> None:
        """Lets an expert that passes stay, if there is room, or the policy gives up another for it, whose slot is free
        then. busy: experts that must not leave."""
        if len(self._slot) - len(self.passing) >= self.num_staying:
            victim = self.policy.victim(key, busy) if self.num_staying else None
            if victim is None:
                return
            self._free(victim)
        self.passing.remove(key)
        if key not in self._pinned:
            self.policy.admit(key)

    def show(self, key: int) -> None:
        """An expert is in its slot, its gate and up at least: kernels may read it there."""
        self._locate(key, self.slots.address(self._slot[key]))

    def hide(self, key: int) -> None:
        """Kernels must not read an expert that has a slot."""
        self._locate(key, 0)

    def drop(self, key: int) -> None:
        """Forgets an expert that passes or could not be read, and frees its slot."""
        if key in self.passing:
            self.passing.remove(key)
        elif key not in self._pinned:
            self.policy.forget(key)
        self._free(key)

    def resize(self, num_slots: int) -> None:
        """Opens so many slots, those in which experts pass and more; the least worthy experts leave, pinned ones last.

        Nothing is being read, and no expert passes.
        """
        while len(self._slot) > num_slots - self.num_passing:
            self._free(self._least_worthy())
        for key, slot in self._slot.items():
            if slot >= num_slots:
                self._move(key, slot)
        self.slots.resize(num_slots)

    def empty(self) -> None:
        """All experts leave. Nothing is being read, and no expert passes."""
        for key in [*self._slot]:
            self.drop(key)

    def _least_worthy(self) -> int:
        """An expert that is to leave, and that stays no longer as far as the policy is concerned."""
        victim = self.policy.victim(COLDEST, frozenset())
        if victim is None:
            victim = next(key for key in reversed(self._pinned) if key in self._slot)
            del self._pinned[victim]  # it is an expert like any other from now on
        return victim

    def _move(self, key: int, slot: int) -> None:
        """Takes an expert to the lowest free slot, whose memory was taken before."""
        target = self.slots.take()
        self.slots.room(target)[:] = self.slots.room(slot)
        self._slot[key] = target
        self.show(key)

    def _free(self, key: int) -> None:
        self._locate(key, 0)
        self.slots.give(self._slot.pop(key))

    def _locate(self, key: int, address: int) -> None:
        layer, expert = divmod(key, self.num_experts)
        self.layers[layer].address[expert] = address
