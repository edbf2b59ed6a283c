"""Many hosts as one: engines on the hosts of a Ray cluster, as models of a batch or behind one server, or one model
that is spread over them."""

from .connection import LOCAL, connected
from .hosts import Hosts, hosts_of
from .replicated import ReplicatedModel, open_replicas
from .staging import load_stages
from .work import BatchWork, Work

__all__ = [
    "LOCAL",
    "BatchWork",
    "Hosts",
    "ReplicatedModel",
    "Work",
    "connected",
    "hosts_of",
    "load_stages",
    "open_replicas",
]
