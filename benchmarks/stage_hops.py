"""The time that hidden values take through three processes and back: Ray's calls, its compiled graphs, and connections.

python benchmarks/stage_hops.py --write
"""

import argparse
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import numpy as np
from machine import card

from kimi_cpu.cluster.connection import LOCAL, connected
from kimi_cpu.cluster.link import without_delay

HIDDEN = 7168  # K2's
ROWS = (1, 4, 16)  # larger channels of a graph hang in a store of 80 MB
HOPS = 4  # driver, three processes, driver
SECONDS = 1.0  # a row of the table
RESULTS = Path(__file__).with_name("results-stage-hops.md")


class Passing:
    """Passes arrays on, as a stage does without its layers."""

    def call(self, rows: np.ndarray) -> np.ndarray:
        """A copy of what has come, as a stage has results of its own."""
        return rows.copy()

    def listen(self, key: bytes) -> tuple[str, int]:
        """Listens; the address."""
        self._listener = Listener(("127.0.0.1", 0), authkey=key)
        return self._listener.address

    def connect(self, after: tuple[str, int], key: bytes) -> None:
        """Passes on what comes over a connection."""
        onwards = without_delay(Client(after, authkey=key))
        before = without_delay(self._listener.accept())

        def run() -> None:
            while True:
                onwards.send_bytes(self.call(np.frombuffer(before.recv_bytes(), np.float32)))

        threading.Thread(target=run, daemon=True).start()


Trip = Callable[[np.ndarray], Any]


@contextmanager
def calls(actors: list[Any]) -> Iterator[Trip]:
    """Calls of actors, each of which takes what the one before returns."""
    import ray

    def trip(rows: np.ndarray) -> Any:
        value: Any = rows
        for actor in actors:
            value = actor.call.remote(value)
        return ray.get(value)

    yield trip


@contextmanager
def graph(actors: list[Any]) -> Iterator[Trip]:
    """A compiled graph of the same."""
    import ray
    from ray.dag import InputNode

    with InputNode() as node:
        value: Any = node
        for actor in actors:
            value = actor.call.bind(value)
    compiled = value.experimental_compile(_buffer_size_bytes=1 << 20)
    yield lambda rows: ray.get(compiled.execute(rows))
    compiled.teardown()


@contextmanager
def connections(actors: list[Any]) -> Iterator[Trip]:
    """Connections from process to process."""
    import ray

    key = secrets.token_bytes(32)
    addresses = ray.get([actor.listen.remote(key) for actor in actors])
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        after = [*addresses[1:], listener.address]
        ready = [actor.connect.remote(next_one, key) for actor, next_one in zip(actors, after, strict=True)]
        last = without_delay(listener.accept())  # first, as each connects before it accepts
        first = without_delay(Client(addresses[0], authkey=key))
        ray.get(ready)

        def trip(rows: np.ndarray) -> np.ndarray:
            first.send_bytes(rows.data.cast("B"))
            return np.frombuffer(last.recv_bytes(), np.float32)

        yield trip


WAYS = {"Ray's calls": calls, "a compiled graph": graph, "connections": connections}


def median_ms(trip: Trip, rows: np.ndarray) -> float:
    """Milliseconds of a round trip."""
    for _ in range(5):
        trip(rows)
    times, until_s = list[float](), time.perf_counter() + SECONDS
    while time.perf_counter() < until_s:
        started_s = time.perf_counter()
        trip(rows)
        times.append(1e3 * (time.perf_counter() - started_s))
    return statistics.median(times)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    lines = ["| way | " + " | ".join(f"{rows} rows" for rows in ROWS) + " |", "|---|" + "---:|" * len(ROWS)]
    with connected(LOCAL, print):
        import ray  # which reads its settings from the environment, when it is imported

        for name, way in WAYS.items():
            actors = [ray.remote(num_cpus=0)(Passing).remote() for _ in range(HOPS - 1)]
            with way(actors) as trip:
                values = [median_ms(trip, np.zeros((rows, HIDDEN), np.float32)) / HOPS for rows in ROWS]
            for actor in actors:
                ray.kill(actor)
            lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
            print(lines[-1], flush=True)
    table = "\n".join(lines)
    print(table)
    if options.write:
        text = "\n".join(("# A hop between stages", "", f"Milliseconds a hop, {HIDDEN} numbers a row.", "", *lines, ""))
        RESULTS.write_text("\n".join((text, *card(["ray"]), "")))


if __name__ == "__main__":
    main()
