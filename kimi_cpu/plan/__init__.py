"""What a model needs, and how it will run on a machine. Knows sizes in bytes and GB/s; never sees a weight."""

from .needs import Needs, needs
from .predict import Machine, Prediction, memory_bandwidth, predict

__all__ = ["Machine", "Needs", "Prediction", "memory_bandwidth", "needs", "predict"]
