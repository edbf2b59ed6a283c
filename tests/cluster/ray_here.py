"""A Ray cluster of this machine, for tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.hosts.cluster import Cluster


@contextmanager
def ray_cluster(seats: int) -> Iterator[Cluster]:
    """A cluster with so many seats and CPUs, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="k"))  # the paths of sockets must be short
    with Cluster(folder) as made:
        made.start(seats, seats)
        yield made
    shutil.rmtree(folder, ignore_errors=True)
