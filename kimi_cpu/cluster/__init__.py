"""Many hosts as one: engines on the hosts of a Ray cluster, which a batch uses as it uses a model of its own."""

from .hosts import Hosts, hosts_of
from .work import Work

__all__ = ["Hosts", "Work", "hosts_of"]
