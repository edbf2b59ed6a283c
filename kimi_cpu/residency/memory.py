"""Memory for weights that are read, not mapped: anonymous, in huge pages where the system has them."""

import mmap
from contextlib import suppress

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
    """Room for so many experts, side by side. A slot is a number."""

    def __init__(self, num_slots: int, slot_bytes: int):
        """slot_bytes: a multiple of the page, so that each slot begins at one."""
        self.num_slots, self.slot_bytes = num_slots, slot_bytes
        self._map = anonymous(num_slots * slot_bytes)
        self._memory = np.frombuffer(self._map, np.uint8).reshape(num_slots, slot_bytes)
        self._free = list(range(num_slots))[::-1]  # the first ones are taken first: no more memory than is used

    def take(self) -> int:
        """A free slot, which there must be."""
        return self._free.pop()

    def give(self, slot: int) -> None:
        """Frees a slot."""
        self._free.append(slot)

    def room(self, slot: int) -> np.ndarray:
        """Bytes of a slot, u8[slot_bytes], writable."""
        return self._memory[slot]

    def close(self) -> None:
        """Gives the memory back to the system; what was in the slots is lost."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
