"""Plans a model on a machine: the memory that it needs, whether it fits, how fast it can be. Never sees a weight."""

from .needs import Needs, needs
from .predict import Machine, Prediction, memory_bandwidth, predict

__all__ = ["Machine", "Needs", "Prediction", "memory_bandwidth", "needs", "predict"]
