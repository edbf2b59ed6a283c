"""The equations of Kimi K2, in the order of the paper: token ids and pages in, logits out."""

from ..kernels.arrays import PAGE_TOKENS
from .forward_batch import ForwardBatch
from .kimi import Kimi, Watch
from .kv_cache import KVCache

__all__ = ["PAGE_TOKENS", "ForwardBatch", "KVCache", "Kimi", "Watch"]
