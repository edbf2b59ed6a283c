"""Experts in memory, when not all of them fit."""

from .policy import COLDEST, Policy
from .regret import Figures, RecentUses

__all__ = ["COLDEST", "Figures", "Policy", "RecentUses"]
