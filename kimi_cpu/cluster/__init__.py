"""Many hosts as one: engines on the hosts of a Ray cluster, which a batch uses as it uses a model of its own."""

from .connection import LOCAL, connected
from .hosts import Hosts, hosts_of
from .staging import load_stages
from .work import Work

__all__ = ["LOCAL", "Hosts", "Work", "connected", "hosts_of", "load_stages"]
