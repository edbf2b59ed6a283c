"""The paged cache of MLA's latents: what a token leaves behind in every layer (DeepSeek-V2 report, sec. 2.1.3)."""

import mmap
import sys

import numpy as np

from ..config import in_words
from ..errors import OutOfMemory
from ..kernels import Cache, cache_layer_bytes

NORESERVE = 0x4000 if sys.platform == "linux" else 0  # MAP_NORESERVE: a long context costs what is used of it


class KVCache:
    """num_pages pages of 64 tokens, all layers of a page together. Memory is touched only when a page is written."""

    def __init__(self, kind: str, num_pages: int, num_layers: int, kv_lora_rank: int, qk_rope_head_dim: int):
        layer_bytes = cache_layer_bytes(kind, kv_lora_rank, qk_rope_head_dim)
        self.page_bytes = layer_bytes * num_layers
        self.num_pages = num_pages
        try:
            self._memory = mmap.mmap(
                -1, num_pages * self.page_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
            )
        except OSError as e:
            size = in_words(num_pages * self.page_bytes)
            raise OutOfMemory(
                f"A cache of {size} cannot be reserved. Choose a smaller context, or give this process more address "
                "space (ulimit -v)."
            ) from e
        data = np.frombuffer(self._memory, np.uint8)
        self.view = Cache(kind, data, self.page_bytes, layer_bytes, kv_lora_rank, qk_rope_head_dim)
        self._pages = data.reshape(num_pages, self.page_bytes)

    @property
    def kind(self) -> str:
        """Type of the latents: "f16", "int8" or "f32"."""
        return self.view.kind

    def read(self, page: int) -> np.ndarray:
        """The latents of all layers in one page, u8[page_bytes]: a view, good until the page is written."""
        return self._pages[page]

    def write(self, page: int, data: np.ndarray) -> None:
        """Sets the latents of all layers in one page to data u8[page_bytes]."""
        self._pages[page] = data

    def release(self) -> None:
        """Gives the memory of all pages back; they are zeros until they are written again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)

    def copy(self, source: int, target: int) -> None:
        """Copies the latents of all layers from one page to another."""
        self._pages[target] = self._pages[source]
