"""What a model needs, and how it will run on a machine. Knows sizes in bytes and GB/s; never sees a weight."""

from .needs import Needs, needs
from .predict import Machine, Prediction, predict

__all__ = ["Machine", "Needs", "Prediction", "needs", "predict"]
