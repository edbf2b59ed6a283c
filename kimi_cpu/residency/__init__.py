"""A model file that is larger than the memory: which routed experts are there, and how the others come."""

from .budget import SlotBudget
from .dense import DenseWeights
from .experts import ExpertsState, ResidentExperts
from .heat import ExpertUses
from .memory import Slots
from .policy import COLDEST, Policy
from .preload import preload, unload
from .reading import NUM_READERS, Reads, WeightsReader
from .regret import Figures, RecentUses
from .residents import LayerExperts, Residents

__all__ = [
    "COLDEST",
    "NUM_READERS",
    "DenseWeights",
    "ExpertUses",
    "ExpertsState",
    "Figures",
    "LayerExperts",
    "Policy",
    "Reads",
    "RecentUses",
    "ResidentExperts",
    "Residents",
    "SlotBudget",
    "Slots",
    "WeightsReader",
    "preload",
    "unload",
]
