"""Sends requests, several at once, and says what became of each."""

import json
import queue
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from .grammar import CHAT, TEXT, Attack, attack
from .wire import send

ORDINARY = Attack("ordinary", CHAT, json.dumps({"messages": TEXT, "max_tokens": 24, "temperature": 0}).encode())
GOOD = {"200", "400", "401", "403", "404", "405", "408", "411", "413", "414", "415", "422", "429", "431", "501"}
CUT = {"closed", "reset", "timeout"}  # right for those who break the protocol
BREAKING_KINDS = {"slow", "bytes"}
OUR_FAULT = ("server_error", "engine_dead", "Internal Server Error")


class Outcome(NamedTuple):
    """What became of a request. began_s: of the machine's monotonic clock, the same in all processes."""

    number: int
    kind: str
    path: str
    way: str
    status: str
    text: str
    began_s: float
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether it shows a fault of the server's."""
        if any(word in self.text for word in OUR_FAULT):
            return True
        return self.status not in GOOD and not (self.kind in BREAKING_KINDS and self.status in CUT)

    def overlaps(self, begin_s: float, end_s: float) -> bool:
        """Whether it was open at some time of a span."""
        return self.began_s < end_s and begin_s < self.began_s + self.seconds

    def __str__(self) -> str:
        text = f": {self.text[:200]}" if self.is_bad else ""
        return f"{self.number} {self.kind} {self.path} {self.way} {self.status} {self.seconds:.1f} s{text}"


def in_turn(port: int, at_once: int, seed: int, numbers: Iterable[int], ordinary_s: float = 0.0) -> list[Outcome]:
    """Sends the requests of a seed with these numbers, so many at once; ordinary ones instead, for ordinary_s."""
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    for number in numbers:
        jobs.put(number)
    outcomes: list[Outcome] = []
    until_s = time.monotonic() + ordinary_s

    def work() -> None:
        while ordinary_s == 0.0 or time.monotonic() < until_s:
            try:
                number = -1 if ordinary_s else jobs.get_nowait()
            except queue.Empty:
                return
            made = ORDINARY if ordinary_s else attack(seed, number)
            began_s = time.monotonic()
            status, text = send(port, made)
            seconds = time.monotonic() - began_s
            outcomes.append(Outcome(number, made.kind, made.path, made.way, status, text, began_s, seconds))

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
