"""Batches: files of requests answered many at once, and nothing lost."""

from .run import BatchOptions, Progress, Run
from .source import Shard

__all__ = ["BatchOptions", "Progress", "Run", "Shard"]
