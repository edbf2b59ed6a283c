"""benchmarks/stages.py over hosts in network namespaces, with links that carry so much and not more. Needs root.

    python -m tools.hosts.stages ../slice/even/native.gguf --network-gb 1 --delay-ms 1

Other options are the benchmark's.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .cluster import ROOT, Cluster
from .network import Network

BENCHMARK = ROOT / "benchmarks" / "stages.py"


def main() -> int:
    """The benchmark's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=2, metavar="K", help="one on each host")
    parser.add_argument("--network-gb", type=float, required=True, help="10^9 bits a second of each host's link")
    given, others = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="k"))  # the paths of sockets must be short
    try:
        with Network(given.stages) as network, Cluster(folder) as cluster:
            cluster.start_on(network)
            network.limit(given.network_gb)
            command = [*network.inside(0), sys.executable, BENCHMARK, *others, f"--stages={given.stages}"]
            command += [f"--network-gb={given.network_gb}", f"--ray={cluster.address}"]
            return subprocess.run(command, env=cluster.env).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
