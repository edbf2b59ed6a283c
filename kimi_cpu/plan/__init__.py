"""Plans a model on machines: the memory that it needs, whether it fits, how fast it can be. Never sees a weight."""

from .layer_sizes import LayerSizes, layer_sizes
from .one_host import EXPERTS, Machine, Needs, Prediction, memory_bandwidth, needs, predict
from .splitting import split

__all__ = [
    "EXPERTS",
    "LayerSizes",
    "Machine",
    "Needs",
    "Prediction",
    "layer_sizes",
    "memory_bandwidth",
    "needs",
    "predict",
    "split",
]
