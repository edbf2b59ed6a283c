"""Routed experts in a number of slots: those that stay, those that come, and those that only pass.

An expert that a layer needs and that is not there is read from the file, while those that are there are computed. It
takes a free slot, or that of the expert that the policy gives up for it; it stays. When the policy gives up none, it
passes: one of a few slots is its own until it has been added to the output. So a prompt that needs nearly all experts
streams those that are not there past the ones that stay.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..kernels import Dispatch
from .dense import Progress
from .memory import Slots
from .policy import Policy
from .reading import Done, Reads
from .regret import Figures, RecentUses

PATIENCE_S = 0.05  # how often a step that waits for the disk looks whether it is still wanted
NONE = np.zeros(0, np.int64)


class LayerExperts(NamedTuple):
    """A layer's experts. offset, stride: of the first in the file, and from each to the next, in bytes. address i64[E]:
    where they are in memory; 0: nowhere."""

    offset: int
    stride: int
    address: np.ndarray


class ExpertsState(NamedTuple):
    """num_slots: experts that there is room for, of num_experts. num_uses, num_hits: experts that layers of steps
    needed, and those of them that were in memory, since the model was loaded. bytes_read: of the others. recent: hit
    rates of the last uses; None when there were none."""

    num_slots: int
    num_experts: int
    num_uses: int
    num_hits: int
    bytes_read: int
    recent: Figures | None


class ResidentExperts:
    """Brings experts to memory; see model.Residency. Used by one thread."""

    def __init__(
        self, layers: Mapping[int, LayerExperts], slots: Slots, reads: Reads, policy: Policy, num_passing: int
    ):
        """layers: by their number; all have the same number of experts, which fit into the slots. num_passing: of the
        slots, those that no expert stays in."""
        self._layers, self._slots, self._reads, self._policy = layers, slots, reads, policy
        self._num_passing, self._num_staying = num_passing, slots.num_slots - num_passing
        self._num_experts = len(next(iter(layers.values())).address)
        for layer in layers.values():
            layer.address[:] = 0
        self._slot: dict[int, int] = {}  # of those that are there or come
        self._coming: set[int] = set()
        self._passing: set[int] = set()
        self._pinned: set[int] = set()  # of which the policy knows nothing, so that it never gives one up
        self._num_uses = self._num_hits = self._bytes_read = 0
        self._recent = RecentUses()

    def state(self) -> ExpertsState:
        """The numbers until now; from any thread, in some 50 ms."""
        num_experts = len(self._layers) * self._num_experts
        recent = self._recent.figures(self._num_staying)
        return ExpertsState(
            self._slots.num_slots, num_experts, self._num_uses, self._num_hits, self._bytes_read, recent
        )

    @property
    def heat(self) -> np.ndarray:
        """f32[layers, experts]: how much each was used of late."""
        return self._policy.heat

    def fill(self, heat: np.ndarray, pinned: np.ndarray, progress: Progress | None = None) -> None:
        """Reads experts before the first step: those that are pinned, which never leave, then the hottest ones, as many
        as there is room for. heat, pinned f32[layers, experts]: of an earlier run, and counts; where it is 0, an expert
        is not read. progress: told as they come; what it raises ends the reading."""
        self._policy.warm(heat)
        pins = largest(pinned, self._num_staying)
        self._pinned = {*pins}
        hottest = [key for key in largest(heat, self._num_staying) if key not in self._pinned]
        self._ask(deque((pins + hottest)[: self._num_staying]), set())
        total = len(self._coming)
        while self._coming:
            self._take(self._reads.wait(1.0), {})  # what cannot be read is an error when it is needed
            if progress is not None:
                there = total - len(self._coming)
                progress(there * self._slots.slot_bytes, total * self._slots.slot_bytes)
        self._bytes_read = 0

    def arrivals(self, layer: int, dispatch: Dispatch, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """See model.Residency. ModelFileError: an expert cannot be read."""
        n = int(dispatch.num_active[0])
        experts = dispatch.active[:n]
        tokens, top_k = np.diff(dispatch.first[: n + 1]), dispatch.ids.shape[1]
        self._policy.use(layer, experts, tokens, dispatch.scores[: dispatch.first[n] // top_k])
        if self._coming:  # for a step that was stopped
            self._take(self._reads.wait(0), {})
        here, keys = self._layers[layer].address[experts] != 0, layer * self._num_experts + experts
        there = np.flatnonzero(here)
        self._recent.add(keys, here)
        self._num_uses += n
        self._num_hits += len(there)
        if len(there) == n:
            yield there, n
        else:
            yield from self._bring(keys.tolist(), here, stop)

    def close(self) -> None:
        """Ends the reading, and gives the memory back; no layer is computed any more."""
        self._reads.close()
        self._slots.close()

    def _bring(self, keys: list[int], here: np.ndarray, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """`arrivals` of experts with these keys. here bool[n]: whether they are in memory; it is kept up to date."""
        places = {key: place for place, key in enumerate(keys)}
        missing, busy = deque(key for key, there in zip(keys, here, strict=True) if not there), {*keys, *self._coming}
        new, done = np.flatnonzero(here), 0
        try:
            while done < len(keys):
                self._ask(missing, busy)
                while not len(new):
                    if stop[0]:
                        return
                    new = np.array(self._take(self._reads.wait(PATIENCE_S), places), np.int64)
                    self._ask(missing, busy)  # what was of no use to this step has left its slot
                here[new] = True
                ready = len(keys) if here.all() else int(here.argmin())
                yield new, ready
                for key in keys[done:ready]:
                    if key in self._passing:
                        self._drop(key)
                new, done = NONE, ready
        finally:  # also when the step was stopped
            for key in self._reads.withdraw():
                self._coming.remove(key)
                self._drop(key)
            for key in self._passing - self._coming:
                self._drop(key)

    def _ask(self, missing: deque[int], busy: set[int]) -> None:
        """Has as many of the missing read, in ascending order, as there are slots for now.

        A slot in which an expert passes is free when that has been added, which it can be when those before it are
        there: they were asked for earlier.
        """
        while missing:
            key = missing[0]
            if key not in self._slot:  # else it comes, for a step that was stopped
                slot = self._slot_for(key, busy)
                if slot is None:
                    return
                self._slot[key] = slot
                self._coming.add(key)
                number, expert = divmod(key, self._num_experts)
                layer = self._layers[number]
                self._reads.ask(key, layer.offset + expert * layer.stride, self._slots.room(slot)[: layer.stride])
            missing.popleft()

    def _slot_for(self, key: int, busy: set[int]) -> int | None:
        """A slot for an expert, which stays or passes; None when there is none now."""
        if len(self._slot) - len(self._passing) < self._num_staying:
            if key not in self._pinned:
                self._policy.admit(key)
            return self._slots.take()
        victim = self._policy.victim(key, busy) if self._num_staying else None
        if victim is not None:
            self._locate(victim, 0)
            self._policy.admit(key)
            return self._slot.pop(victim)
        if len(self._passing) == self._num_passing:
            return None
        self._passing.add(key)
        return self._slots.take()

    def _take(self, reads: list[Done], places: Mapping[int, int]) -> list[int]:
        """The places of experts whose reads have ended, of those that are wanted. ModelFileError: one failed."""
        failed: BaseException | None = None
        came: list[int] = []
        for key, error in reads:
            self._coming.remove(key)
            place = places.get(key)
            if error is not None or (place is None and key in self._passing):
                self._drop(key)
                failed = error if place is not None else failed
                continue
            self._locate(key, self._slots.room(self._slot[key]).ctypes.data)
            self._bytes_read += self._layers[key // self._num_experts].stride
            if place is not None:
                came.append(place)
        if failed is not None:
            raise failed
        return came

    def _drop(self, key: int) -> None:
        """Forgets an expert that passes or could not be read, and frees its slot."""
        if key in self._passing:
            self._passing.remove(key)
        else:
            self._policy.forget(key)
        self._locate(key, 0)
        self._slots.give(self._slot.pop(key))

    def _locate(self, key: int, address: int) -> None:
        layer, expert = divmod(key, self._num_experts)
        self._layers[layer].address[expert] = address


def largest(values: np.ndarray, most: int) -> list[int]:
    """The keys with the largest of numbers [layers, experts], falling; at most so many, and none with 0."""
    order = np.argsort(-values.reshape(-1), kind="stable")
    return order[: min(most, np.count_nonzero(values))].tolist()
