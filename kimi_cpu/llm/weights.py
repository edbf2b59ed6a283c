"""The weights of a loaded model in memory: mapped, when all of them fit, or with as many experts as there is room for.

Their memory can be given back while no step runs, and taken again; addresses of all but experts stay as they are.
"""

import time

import numpy as np

from ..machine import spare_memory
from ..model.weights import Weights, bind
from ..modelfile import ModelFile
from ..modelfile.layout import EXPERTS_SUFFIX, aligned
from ..residency import (
    NUM_READERS,
    DenseWeights,
    ExpertsState,
    LayerExperts,
    Policy,
    Reads,
    ResidentExperts,
    Residents,
    SlotBudget,
    Slots,
    WeightsReader,
    heat,
    preload,
    unload,
)
from .options import Progress


class MappedWeights:
    """Views of the mapped file, whose pages are the page cache's."""

    residency = None
    is_unsettled = False

    def __init__(self, file: ModelFile, layers: range, is_preloaded: bool):
        self.weights, self._file, self._is_preloaded = bind(file, layers), file, is_preloaded
        spans = [(0, file.size)] if layers == file.config.layers else file.spans(layers)
        self._mapped = [file.between(begin, end) for begin, end in spans]

    def read(self, progress: Progress | None) -> None:
        """Brings the pages to memory, if they are to be there before they are needed. progress: told (bytes there,
        bytes in all); what it raises ends the reading."""
        if self._is_preloaded:
            before, total = 0, sum(map(len, self._mapped))
            for data in self._mapped:
                preload(data, progress and _counted(progress, before, total))
                before += len(data)

    def release(self) -> None:
        """Gives the pages back."""
        for data in self._mapped:
            unload(data, self._file.path)

    def experts(self) -> ExpertsState | None:
        """None: they are as much there as everything else."""

    def look(self, now_s: float, spare: int, stalled: float) -> int:
        """As SlotWeights.look: pages of files are nobody's, and the system's to give to others."""
        return max(0, -spare)

    def settle(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """The map is the file's."""


class SlotWeights:
    """Some of the experts in slots, and all other weights. residency: brings the experts."""

    def __init__(self, file: ModelFile, layers: range, num_slots: int, slot_bytes: int, is_preloaded: bool):
        """is_preloaded: whether the experts that are used most are read ahead of need. OutOfMemory, ModelFileError."""
        self._named = file.model_hash(), file.config.num_hidden_layers, file.config.n_routed_experts
        self._is_preloaded = is_preloaded
        reader = WeightsReader(file.path)
        self.is_direct = reader.is_direct
        reads = Reads(reader)
        try:
            self._dense = DenseWeights(file, reads, layers)
            self.weights = bind(file, layers)
            residents = _residents(file, self.weights, num_slots, slot_bytes)
        except BaseException:
            reads.close()
            raise
        self.residency = ResidentExperts(residents, reads)
        self._budget = SlotBudget(residents.num_passing, num_slots, slot_bytes)
        if is_preloaded:
            self.residency.warm(heat.kept(*self._named))

    def read(self, progress: Progress | None) -> None:
        """Reads what is always there, and experts ahead of need. progress: as MappedWeights. ModelFileError."""
        self._dense.read(progress)
        residency = self.residency
        self.look(time.monotonic(), spare_memory(), 0.0)
        self.settle()
        hottest = residency.heat if self._is_preloaded else np.zeros_like(residency.heat)
        residency.fill(hottest, heat.pinned(*self._named), progress)

    def experts(self) -> ExpertsState | None:
        """See ResidentExperts.state."""
        return self.residency.state()

    def look(self, now_s: float, spare: int, stalled: float) -> int:
        """Finds how many slots there may be; see SlotBudget.look. From any thread. There are so many after `settle`, or
        from the next layer on."""
        missing = self._budget.look(now_s, self.residency.slots.num_touched, spare, stalled)
        self.residency.aim(self._budget.num_open)
        return missing

    @property
    def is_unsettled(self) -> bool:
        """Whether `look` found another number of slots than there are."""
        return self.residency.slots.num_open != self._budget.num_open

    def settle(self) -> None:
        """Has as many slots as `look` found; between two steps."""
        self.residency.settle()

    def release(self) -> None:
        """Gives the memory of all of them back."""
        self.residency.release()
        self._dense.release()

    def close(self) -> None:
        """Ends the reading, and leaves behind which experts were used of late."""
        heat.keep(self._named[0], self.residency.heat)
        self.residency.close()


def _counted(progress: Progress, before: int, total: int) -> Progress:
    """Told of one span of several, tells of all."""
    return lambda done, _: progress(before + done, total)


def _residents(file: ModelFile, weights: Weights, num_slots: int, slot_bytes: int) -> Residents:
    """So many slots for the experts of a file, of which none is there. OutOfMemory."""
    layers = {
        n: LayerExperts(
            file.tensors[f"blk.{n}{EXPERTS_SUFFIX}"].offset, e.data.strides[0], aligned(e.down_offset), e.address
        )
        for n, e in weights.experts().items()
    }
    top_k, num_experts = file.config.num_experts_per_tok, file.config.n_routed_experts
    num_passing = min(num_slots, max(top_k, 2 * NUM_READERS))
    policy = Policy(file.config.num_hidden_layers, num_experts, top_k)
    return Residents(layers, Slots(num_slots, slot_bytes), policy, num_passing)
