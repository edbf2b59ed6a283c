"""The equations of Kimi K2, in the order of the paper: token ids and pages in, logits out."""

from ..kernels.arrays import PAGE_TOKENS
from .kimi import Kimi, Watch
from .kv_cache import KVCache
from .moe import Residency
from .workspace import ForwardBatch

__all__ = ["PAGE_TOKENS", "ForwardBatch", "KVCache", "Kimi", "Residency", "Watch"]
