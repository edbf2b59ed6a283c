"""Plans a model on machines: the memory that it needs, whether it fits, how fast it can be. Never sees a weight."""

from .arrangements import Arrangement, Cluster, Load, Proposal, propose
from .layers import LayerSizes, layer_sizes
from .measured import matrix_rate, memory_bandwidth
from .one_host import EXPERTS, Machine, Needs, Prediction, needs, predict
from .picture import picture
from .pipeline import Network
from .splitting import split
from .steps import Host, Model

__all__ = [
    "EXPERTS",
    "Arrangement",
    "Cluster",
    "Host",
    "LayerSizes",
    "Load",
    "Machine",
    "Model",
    "Needs",
    "Network",
    "Prediction",
    "Proposal",
    "layer_sizes",
    "matrix_rate",
    "memory_bandwidth",
    "needs",
    "picture",
    "predict",
    "propose",
    "split",
]
