"""Batches: files of requests answered many at once, and nothing lost."""

from .run import MAX_PARALLEL, BatchOptions, Progress, Run
from .source import Shard

__all__ = ["MAX_PARALLEL", "BatchOptions", "Progress", "Run", "Shard"]
