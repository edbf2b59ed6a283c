"""Token ids in, token ids out: scheduling, pages and sampling parameters. Never sees text."""

from .engine import Engine, StepOutput
from .request import Guide, Request
from .sampling import Sampling
from .thread import EngineThread

__all__ = ["Engine", "EngineThread", "Guide", "Request", "Sampling", "StepOutput"]
