"""Token ids in, token ids out: scheduling, pages and sampling parameters. Never sees text."""

from .client import EngineClient, Outbox, OwnProcess
from .disk_store import DiskStore
from .engine import Engine, EngineState, Model, StepOutput
from .parked_pages import ParkedPages
from .request import Guide, Kind, Request, Sampling, Steering
from .sampling import TokenLogprob
from .speculation import Speculation
from .thread import EngineThread

__all__ = [
    "DiskStore",
    "Engine",
    "EngineClient",
    "EngineState",
    "EngineThread",
    "Guide",
    "Kind",
    "Model",
    "Outbox",
    "OwnProcess",
    "ParkedPages",
    "Request",
    "Sampling",
    "Speculation",
    "Steering",
    "StepOutput",
    "TokenLogprob",
]
