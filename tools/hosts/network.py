"""Hosts in network namespaces of this machine, joined by a bridge. Needs root, `ip` and `tc`."""

import os
import shlex
import signal
import subprocess
from contextlib import suppress

BRIDGE, NAME, NET = "kimibr", "kimi", "10.77.0"
BURST_BYTES, QUEUE_MS = 128 << 10, 100  # that a limited link sends at once, and keeps at most


class Network:
    """So many hosts, numbered from 0, with addresses of their own. A context manager, which takes them away."""

    def __init__(self, count: int):
        self.count = count

    def __enter__(self) -> "Network":
        self._take_away()  # what a run that was killed has left
        run(f"ip link add {BRIDGE} type bridge", f"ip link set {BRIDGE} up")
        for number in range(self.count):
            host, wire = f"{NAME}{number}", f"{NAME}w{number}"
            run(
                f"ip netns add {host}",
                f"ip link add {wire} master {BRIDGE} up type veth peer name eth0 netns {host}",
                f"ip -n {host} addr add {self.address(number)}/24 dev eth0",
                f"ip -n {host} link set eth0 up",
                f"ip -n {host} link set lo up",
            )
        return self

    def __exit__(self, *exc: object) -> None:
        self._take_away()

    def address(self, number: int) -> str:
        """Of a host."""
        return f"{NET}.{number + 1}"

    def inside(self, number: int) -> list[str]:
        """The command that runs another one on a host."""
        return ["ip", "netns", "exec", f"{NAME}{number}"]

    def cut(self, number: int) -> None:
        """No packet reaches the host, or comes from it."""
        run(f"ip link set {NAME}w{number} down")

    def join(self, number: int) -> None:
        """Undoes cut."""
        run(f"ip link set {NAME}w{number} up")

    def limit(self, gigabits: float) -> None:
        """So many 10^9 bits a second are the most that each host sends, and that it gets."""
        limit = f"root tbf rate {gigabits:g}gbit burst {BURST_BYTES} latency {QUEUE_MS}ms"
        for number in range(self.count):
            run(f"tc qdisc add dev {NAME}w{number} {limit}", f"tc -n {NAME}{number} qdisc add dev eth0 {limit}")

    def _take_away(self) -> None:
        """Ends what runs on the hosts, and takes away them, their links and the bridge, as far as they are there."""
        for number in range(self.count):
            left = subprocess.run(["ip", "netns", "pids", f"{NAME}{number}"], capture_output=True).stdout
            for pid in left.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            # A namespace, and with it its link, is there as long as one of those processes has not quite ended.
            subprocess.run(["ip", "link", "del", f"{NAME}w{number}"], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", f"{NAME}{number}"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", BRIDGE], stderr=subprocess.DEVNULL)


def run(*commands: str) -> None:
    """CalledProcessError."""
    for command in commands:
        subprocess.run(shlex.split(command), check=True)
