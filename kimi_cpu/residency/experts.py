"""Routed experts in a number of slots: those that stay, those that come, and those that only pass.

An expert that a layer needs and that is not there is read from the file, while those that are there are computed. Its
read begins at once, into a free slot; then the policy says whether it stays, and who leaves for it. When nobody does,
it passes: the slot is its own until it has been added to the output. A few slots are kept for those. So a prompt that
needs nearly all experts streams those that are not there past the ones that stay. Gate and up are computed while the
rest of an expert is being read.

Tried: reading the absent experts that are worth most while a layer needs nothing from the disk. On routings like K2's
hits rose by 2 to 4 points, but no time was won on two cores, which the readers take from the kernels. Giving experts up
by thirds, replayed: with room for half of them the layers that read nothing, whose computing hides no read, fell from
70 to 40 %, but a third more bytes were read.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..kernels import Dispatch
from .dense import Progress
from .memory import Slots
from .reading import Done, Reads
from .regret import Figures, RecentUses
from .residents import Residents

PATIENCE_S = 0.05  # how often a step that waits for the disk looks whether it is still wanted
NONE = np.zeros(0, bool)
HEAT_TYPE = np.dtype("<f2")  # of heat in a session's file


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
    """Brings experts to memory; see model.Residency. Used by one thread, but for `state` and `aim`."""

    def __init__(self, residents: Residents, reads: Reads):
        self._residents, self._reads = residents, reads
        self._num_experts, self._policy = residents.num_experts, residents.policy
        self._wanted = residents.slots.num_slots  # slots
        self._coming: set[int] = set()
        self._begun: set[int] = set()  # of those that come, the ones whose gate and up this layer has been given
        self._num_uses = self._num_hits = self._bytes_read = 0
        self._recent = RecentUses()

    def state(self) -> ExpertsState:
        """The numbers until now; from any thread, in some 50 ms."""
        residents = self._residents
        recent = self._recent.figures(residents.num_staying)
        return ExpertsState(
            residents.slots.num_open, residents.count, self._num_uses, self._num_hits, self._bytes_read, recent
        )

    @property
    def slots(self) -> Slots:
        """The experts' memory."""
        return self._residents.slots

    def aim(self, num_slots: int) -> None:
        """To have so many slots from the next layer on, or from `settle`: at least those in which experts pass, and at
        most as many as there were at first. From any thread."""
        self._wanted = min(max(num_slots, self._residents.num_passing), self.slots.num_slots)

    def settle(self) -> None:
        """Takes what came for a step that was stopped; when nothing more comes, has as many slots as are aimed at."""
        if self._coming:
            self._take(self._reads.wait(0), {}, NONE)
        if not self._coming and self._wanted != self.slots.num_open:
            self._residents.resize(self._wanted)

    def release(self) -> None:
        """Gives the memory of all experts back; they come again as they are needed. Waits for what is being read."""
        for key in self._reads.withdraw():
            self._coming.remove(key)
            self._residents.drop(key)
        while self._coming:
            self._take(self._reads.wait(1.0), {}, NONE)
        self._residents.empty()
        self._residents.slots.release()

    @property
    def heat(self) -> np.ndarray:
        """f32[layers, experts]: how much each was used of late."""
        return self._policy.heat

    def warm(self, heat: np.ndarray) -> None:
        """Begins where another run ended: heat f32[layers, experts]. Before the first step."""
        self._policy.warm(heat)

    def fill(self, heat: np.ndarray, pinned: np.ndarray, progress: Progress | None = None) -> None:
        """Reads experts when none is there: those that are pinned, which leave only when memory is short, then the
        hottest ones, as many as there is room for. heat, pinned f32[layers, experts]: of late, and counts; where it
        is 0, an expert is not read. progress: told as they come; what it raises ends the reading."""
        num_staying = self._residents.num_staying
        pins = largest(pinned, num_staying)
        self._residents.pin(pins)
        hottest = [key for key in largest(heat, num_staying) if key not in {*pins}]
        self._read_ahead((pins + hottest)[:num_staying], progress)
        self._bytes_read = 0

    def heat_bytes(self) -> bytes:
        """The heat in as few bytes as will do, for `recall`."""
        return self._policy.heat.astype(HEAT_TYPE).tobytes()

    def recall(self, data: bytes) -> None:
        """Goes on where `heat_bytes` was called, between two steps: the experts that were used most then come to
        memory, in place of others. Nothing happens when it was another model, or none."""
        shape = self._policy.worth.shape
        if len(data) == HEAT_TYPE.itemsize * shape[0] * shape[1]:
            heat = np.frombuffer(data, HEAT_TYPE).reshape(shape).astype(np.float32)
            self._policy.warm(heat)
            self._read_ahead(largest(heat, self._residents.num_staying), None)

    def arrivals(self, layer: int, dispatch: Dispatch, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """See model.Residency. ModelFileError: an expert cannot be read."""
        n = int(dispatch.num_active[0])
        experts, first = dispatch.active[:n], dispatch.first[: n + 1]
        num_tokens = int(first[n]) // dispatch.ids.shape[1]
        self._policy.use(layer, experts, first[1:] - first[:-1], dispatch.scores[:num_tokens])
        if self._coming or self._wanted != self.slots.num_open:
            self.settle()
        here = self._residents.layers[layer].address[experts].astype(bool)
        keys = layer * self._num_experts + experts
        there = here.nonzero()[0]
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
        self.slots.release()

    def _bring(self, keys: list[int], here: np.ndarray, stop: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """`arrivals` of experts with these keys. here bool[n]: whether they are in memory; it is kept up to date."""
        places = {key: place for place, key in enumerate(keys)}
        missing, busy = deque(key for key, there in zip(keys, here, strict=True) if not there), {*keys, *self._coming}
        residents, new, done = self._residents, here.nonzero()[0], 0
        try:
            self._ask(missing, busy)
            while not stop[0]:
                first_absent = int(here.argmin())
                ready = len(keys) if here[first_absent] else first_absent
                yield new, ready
                for key in keys[done:ready]:
                    if key in residents.passing:
                        residents.drop(key)
                if ready == len(keys):
                    return
                done = ready
                self._ask(missing, busy)  # in the slots that are free now
                new = np.array(self._take(self._reads.wait(PATIENCE_S), places, here), np.int64)
        finally:  # also when the step was stopped
            for key in self._begun:
                residents.hide(key)
            self._begun.clear()
            for key in self._reads.withdraw():
                self._coming.remove(key)
                residents.drop(key)
            for key in residents.passing - self._coming:
                residents.drop(key)

    def _read_ahead(self, keys: list[int], progress: Progress | None) -> None:
        """Brings experts to memory that no layer waits for; what cannot be read is an error when it is needed."""
        missing, busy = deque(key for key in keys if key not in self._residents), {*keys}
        total, slot_bytes = len(missing), self.slots.slot_bytes
        while missing or self._coming:
            self._ask(missing, busy)
            self._take(self._reads.wait(1.0), {}, NONE)
            if progress is not None:
                progress((total - len(missing) - len(self._coming)) * slot_bytes, total * slot_bytes)

    def _ask(self, missing: deque[int], busy: set[int]) -> None:
        """Has as many of the missing read, in ascending order, as there are slots for now.

        A slot in which an expert passes is free when that has been added, which it can be when those before it are
        there: they were asked for earlier.
        """
        residents, asked = self._residents, [-1]
        while missing and asked:
            asked = []
            while missing and (missing[0] in residents or residents.admit(missing[0])):
                key = missing.popleft()
                if key not in self._coming:  # else it was asked for by a step that was stopped
                    asked.append(key)
                    self._coming.add(key)
                    self._reads.ask(key, *residents.place(key))
            for key in asked:
                residents.keep(key, busy)  # now that the disk works

    def _take(self, reads: list[Done], places: Mapping[int, int], here: np.ndarray) -> list[int]:
        """The places of experts, of those that are wanted, whose gate and up have come; `here` has those of which all
        has. ModelFileError: one could not be read."""
        failed: BaseException | None = None
        came: list[int] = []
        for key, is_whole, error in reads:
            place = places.get(key)
            if is_whole:
                self._coming.remove(key)
            if error is not None or (is_whole and place is None and key in self._residents.passing):
                self._begun.discard(key)
                self._residents.drop(key)
                failed = error if place is not None else failed
                continue
            if is_whole or place is not None:
                self._residents.show(key)
            if place is not None:
                here[place] = is_whole
                if key not in self._begun:
                    came.append(place)
                    self._begun.add(key)
            if is_whole:
                self._begun.discard(key)
                self._bytes_read += self._residents.layers[key // self._num_experts].stride
        if failed is not None:
            raise failed
        return came


def largest(values: np.ndarray, most: int) -> list[int]:
    """The keys with the largest of numbers [layers, experts], falling; at most so many, and none with 0."""
    order = np.argsort(-values.reshape(-1), kind="stable")
    return order[: min(most, np.count_nonzero(values))].tolist()
