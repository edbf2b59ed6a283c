"""Memory for weights that are read, not mapped: anonymous, in huge pages where the system has them."""

import mmap
from contextlib import suppress
from heapq import heappop, heappush

import numpy as np

from ..config import in_words
from ..errors import OutOfMemory


def anonymous(num_bytes: int) -> mmap.mmap:
    """So many bytes, which are taken when they are first written. OutOfMemory."""
    try:
        memory = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as e:
        raise OutOfMemory(
            f"{in_words(num_bytes)} for weights cannot be reserved. Choose less memory, or give this process more "
            "address space (ulimit -v)."
        ) from e
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class Slots:
    """Room for so many experts, side by side, of which the first `num_open` are used. A slot is a number.

    Those with the lowest numbers are taken first, so that memory is touched only as more are in use at once.
    """

    def __init__(self, num_slots: int, slot_bytes: int):
        """slot_bytes: a multiple of the page, so that each slot begins at one."""
        self.num_slots = self.num_open = num_slots
        self.slot_bytes = slot_bytes
        self.num_touched = 0  # the first ones, whose memory was taken
        self._map = anonymous(num_slots * slot_bytes)
        self._memory = np.frombuffer(self._map, np.uint8).reshape(num_slots, slot_bytes)
        self._address = self._memory.ctypes.data
        self._free = list(range(num_slots))  # a heap

    @property
    def num_free(self) -> int:
        """Slots that can be taken."""
        return len(self._free)

    def take(self) -> int:
        """A free slot, which there must be."""
        slot = heappop(self._free)
        self.num_touched = max(self.num_touched, slot + 1)
        return slot

    def give(self, slot: int) -> None:
        """Frees a slot."""
        heappush(self._free, slot)

    def room(self, slot: int) -> np.ndarray:
        """Bytes of a slot, u8[slot_bytes], writable."""
        return self._memory[slot]

    def address(self, slot: int) -> int:
        """Where a slot begins."""
        return self._address + slot * self.slot_bytes

    def resize(self, num_open: int) -> None:
        """Opens so many slots, at most num_slots. Those that are closed are free, and their memory is the system's."""
        self._free = [slot for slot in self._free if slot < num_open] + list(range(self.num_open, num_open))
        self.num_open, self.num_touched = num_open, min(self.num_touched, num_open)
        give_back(self._map, num_open * self.slot_bytes)

    def release(self) -> None:
        """Gives all memory back to the system; what was in the slots is lost."""
        give_back(self._map)
        self.num_touched = 0


def give_back(memory: mmap.mmap, start: int = 0) -> None:
    """Gives the system the whole pages from byte `start` on, which are zeros when they are next read."""
    begin = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    if hasattr(mmap, "MADV_DONTNEED") and begin < len(memory):
        memory.madvise(mmap.MADV_DONTNEED, begin)
