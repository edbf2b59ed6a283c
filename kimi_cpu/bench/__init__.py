"""Speed of a model on this machine, in llama-bench's rows. May use the Python API."""

from .rows import Measurement, Row, measure, prepare, rows

__all__ = ["Measurement", "Row", "measure", "prepare", "rows"]
