"""A Ray cluster of this machine: its processes, its engines, and batches that run over it."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .network import Network

ROOT = Path(__file__).parents[2]
ENGINE, STAGE = b"ray::BatchActor", b"ray::StageActor"  # what Ray names their processes
STORE_BYTES = 80_000_000
POLL_S = 0.1
ENDING_S = 15.0


class Cluster:
    """Nodes of one cluster, the head first, and their logs and sockets in a folder, whose path must be short. A context
    manager, which ends them all. address: of the head."""

    def __init__(self, folder: Path):
        self.env = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.env["PYTHONPATH"] = str(ROOT)
        self.address = ""
        self._folder, self._nodes = folder, list[subprocess.Popen]()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *exc: object) -> None:
        for node in self._nodes:
            node.terminate()
        for node in self._nodes:
            try:
                node.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()

    def start(self, seats: int, cpus: int, *options: str, inside: Sequence[str] = ()) -> subprocess.Popen:
        """One more node, with room for so many engines. options: more of `ray start`. inside: a command that runs
        another one."""
        number = len(self._nodes)
        folder, log = self._folder / str(number), self._folder / f"{number}.log"
        place = ["--address", self.address] if self.address else ["--head", "--port=0", "--include-dashboard=false"]
        command = [*inside, Path(sys.executable).with_name("ray"), "start", "--block", *place, *options]
        command += [f'--resources={{"kimi-cpu": {seats}}}', f"--num-cpus={cpus}", f"--temp-dir={folder}"]
        command += [f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats"]
        with log.open("w") as file:
            node = subprocess.Popen(command, env=self.env, stdout=file, stderr=subprocess.STDOUT)
        self._nodes.append(node)
        while "Ray runtime started" not in (told := log.read_text()):
            if node.poll() is not None:
                raise RuntimeError(f"Ray does not start:\n{told}")
            time.sleep(POLL_S)
        if not self.address:
            found = re.search(r"--address='(\S+)'", told)
            assert found is not None, told
            self.address = found[1]
        return node

    def start_on(self, network: Network) -> None:
        """A node with room for one engine on each host."""
        for number in range(network.count):
            self.start(1, 1, f"--node-ip-address={network.address(number)}", inside=network.inside(number))

    def batch(self, *args: object, inside: Sequence[str] = (), **env: str) -> subprocess.Popen[bytes]:
        """kimi-cpu batch with these arguments over the cluster, both streams in pipes."""
        command = [*inside, sys.executable, "-m", "kimi_cpu", "batch", *map(str, args), "--ray", self.address]
        return subprocess.Popen(command, cwd=ROOT, env=self.env | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def serve(self, *args: object, inside: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """kimi-cpu serve with these arguments over the cluster; it says nothing."""
        command = [*inside, sys.executable, "-m", "kimi_cpu", "serve", *map(str, args), "--ray", self.address]
        return subprocess.Popen(command, cwd=ROOT, env=self.env, stderr=subprocess.DEVNULL)

    @property
    def nodes(self) -> list[int]:
        """The processes of `ray start`."""
        return [node.pid for node in self._nodes]

    def engines(self, name: bytes = ENGINE) -> list[int]:
        """Their processes, or those of stages, in the order in which they began."""
        ours = set(map(str, self.nodes))
        return [pid for pid in _named(name) if _parent(_parent(str(pid))) in ours]


def _named(name: bytes) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(name):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def _parent(pid: str) -> str:
    """ "0": there is none any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return "0"
