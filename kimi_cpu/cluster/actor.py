"""An engine on a host, as Ray runs it: a class of plain methods that knows nothing of Ray."""

import os
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from ..batch.answers import LanguageModel
from ..batch.model import Grown
from ..errors import KimiError
from ..kernels import runtime
from ..kernels.codegen import bus_error
from ..llm import BUNDLED_MODEL, LLM, load
from ..machine import cpus_by_core, usable_cores
from ..modelfile import HASHES, ModelFile
from . import wire
from .fetching import fetch
from .work import Part, Work

PACKAGE = Path(__file__).parents[1]
BEAT_S = 2.0  # an engine that has nothing to say says so after this
GATHER_S = 0.05  # ids wait so long for others, unless an answer ends


class EngineActor:
    """A model for a part of a host. It is made at once; `facts`, then `load`, and then the others are called. All that
    goes in and out is bytes, and nothing is raised."""

    def __init__(self, work: bytes, part: Part):
        self._work, self._part = Work.unpacked(work), part
        self._llm: LLM | None = None
        self._model: LanguageModel | None = None
        self._tickets: dict[bytes, int] = {}  # of answers that run, by their keys
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._lost: str | None = None

    def facts(self) -> bytes:
        """wire.Facts, once the model file is there."""
        return _said(self._facts)

    def load(self) -> bytes:
        """Loads the model: wire.Loaded."""
        return _said(self._load)

    def start(self, data: bytes) -> None:
        """Begins an answer: wire.pack_start."""
        ticket, question, resume = wire.unpack_start(data)
        with self._lock:
            assert self._model is not None, "load comes before start"
            self._tickets[question.key] = ticket
            try:
                self._model.start(question, resume)
            except Exception as e:  # the host's fault, no request's
                self._end(e)

    def withdraw(self, ticket: int) -> None:
        """Ends an answer, of which nothing more is heard."""
        with self._lock:
            for key in [key for key, own in self._tickets.items() if own == ticket]:
                assert self._model is not None, "load comes before withdraw"
                self._model.withdraw(key)
                del self._tickets[key]

    def events(self) -> bytes:
        """Waits for events, BEAT_S at most, and a little more for others to come: wire.pack_events or pack_lost."""
        events: list[tuple[int, wire.Event]] = []
        until_s = time.monotonic() + BEAT_S
        while self._woken.wait(max(0.0, until_s - time.monotonic())):
            self._woken.clear()
            with self._lock:
                events += self._poll()
            if self._lost is not None:
                return wire.pack_lost(self._lost)
            if any(not isinstance(event, Grown) for _, event in events):
                break
            until_s = min(until_s, time.monotonic() + GATHER_S)
        return wire.pack_events(events)

    def close(self) -> None:
        """Ends all answers, and the model."""
        if self._llm is not None:
            self._llm.close()

    def _poll(self) -> list[tuple[int, wire.Event]]:
        assert self._model is not None, "load comes before events"
        try:
            events = self._model.poll()
        except Exception as e:
            self._end(e)
            return []
        told = [(self._tickets[event.key], event) for event in events]
        for event in events:
            if not isinstance(event, Grown):
                del self._tickets[event.key]
        return told

    def _end(self, error: BaseException) -> None:
        self._lost = str(error) or type(error).__name__
        self._woken.set()

    def _facts(self) -> wire.Facts:
        path = model_path(self._work)
        if self._work.fetch is not None:
            fetch(path, self._work.fetch)
        with ModelFile.open(path) as file:
            file.require_native()
            weights = sha256(file.view(HASHES)).hexdigest()
        return wire.Facts(program(), weights, runtime.isa().name)

    def _load(self) -> wire.Loaded:
        bus_error.install()
        work, part = self._work, self._part
        threads = work.loading["threads"] or min(keep_to_cores(part), max(1, part.num_cpus))
        memory = min(work.loading["memory"] or part.memory, part.memory)
        loading = {**work.loading, "threads": threads, "memory": memory}
        llm = self._llm = load(model_path(work), **loading)
        self._model = LanguageModel(llm, work.seed, work.defaults, loading)
        self._model.connect(self._woken.set)
        return wire.Loaded(self._model.identity, list(llm.notices))


def model_path(work: Work) -> Path:
    """The model on this host; the bundled one lies where its package does."""
    return BUNDLED_MODEL if work.model is None else Path(work.model)


def program() -> str:
    """Names the sources of this package, in hex: hosts with others may answer otherwise."""
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


def keep_to_cores(part: Part) -> int:
    """Lets this thread and those that it starts run on their part of the CPUs, whole cores and neighbours; the number
    of cores. An engine that has the host alone may run everywhere."""
    if part.count == 1:
        return usable_cores()
    cores = cpus_by_core()
    begin, end = (len(cores) * number // part.count for number in (part.number, part.number + 1))
    mine = cores[begin : max(end, begin + 1)]
    os.sched_setaffinity(0, [cpu for core in mine for cpu in core])
    return len(mine)


def _said(work: Callable[[], wire.Facts | wire.Loaded]) -> bytes:
    try:
        return wire.pack(work())
    except (KimiError, OSError, MemoryError) as e:
        return wire.pack_refusal(f"{e.filename}: {e.strerror}" if isinstance(e, OSError) and e.filename else str(e))
