"""A model file that is larger than the memory: which routed experts are there, and how the others come."""

from .dense import read_dense
from .experts import ExpertsState, ResidentExperts
from .heat import ExpertUses
from .memory import Slots
from .policy import COLDEST, Policy
from .preload import preload
from .reading import NUM_READERS, Reads, WeightsReader
from .regret import Figures, RecentUses
from .residents import LayerExperts, Residents

__all__ = [
    "COLDEST",
    "NUM_READERS",
    "ExpertUses",
    "ExpertsState",
    "Figures",
    "LayerExperts",
    "Policy",
    "Reads",
    "RecentUses",
    "ResidentExperts",
    "Residents",
    "Slots",
    "WeightsReader",
    "preload",
    "read_dense",
]
