"""An engine on a host, as Ray runs it: a class of plain methods that knows nothing of Ray. Kinds of it answer a batch
or a server."""

import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from ..errors import KimiError
from ..kernels import runtime
from ..kernels.codegen import bus_error
from ..llm import BUNDLED_MODEL, LLM, load
from ..machine import cpus_by_core, usable_cores
from ..modelfile import HASHES, ModelFile
from . import wire
from .fetching import fetch
from .link import accepted, hang_up, listening, port_of
from .work import Part, Work

PACKAGE = Path(__file__).parents[1]
BEAT_S = 2.0  # an engine that has nothing to say says so after this


class EngineActor(ABC):
    """A model for a part of a host. It is made at once; `facts`, then `load`, then `run` are called. All that goes in
    and out is bytes, and nothing is raised. gather_s: what has come of answers waits so long for more of it."""

    gather_s: float

    def __init__(self, work: Work, part: Part):
        self._work, self._part = work, part
        self._llm: LLM | None = None
        self._listener: Listener | None = None
        self._woken = threading.Event()
        self._lost: str | None = None

    @abstractmethod
    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """Makes ready to answer with a model, which was loaded so; what must be the same on all hosts."""

    @abstractmethod
    def take(self, message: list[Any]) -> None:
        """Does what the driver has said; on another thread than `told`. What it raises is the end of the engine."""

    @abstractmethod
    def told(self) -> bytes:
        """All that has come of answers since the last time. What it raises is the end of the engine."""

    def facts(self) -> bytes:
        """wire.Facts, once the model file is there."""
        return said(self._facts)

    def load(self, host: str, key: bytes) -> bytes:
        """Loads the model, and listens at an address of this host: wire.Loaded. key: of the driver's connection."""
        return said(lambda: self._load(host, key))

    def run(self) -> None:
        """Answers what comes over a connection, until the driver hangs up."""
        assert self._listener is not None, "load comes before run"
        with self._listener:
            connection = accepted(self._listener)
        threading.Thread(target=self._receive, args=(connection,), name="kimi-cpu orders", daemon=True).start()
        with suppress(OSError):  # the driver has left
            while True:
                if self._woken.wait(BEAT_S):
                    time.sleep(self.gather_s)
                    self._woken.clear()
                connection.send_bytes(self._told())

    def wake(self) -> None:
        """Says that there is something to be told. From any thread; cheap, as it is called for each token."""
        if not self._woken.is_set():
            self._woken.set()

    def close(self) -> None:
        """Ends all answers, and the model."""
        if self._llm is not None:
            self._llm.close()

    def _facts(self) -> wire.Facts:
        path = model_path(self._work)
        if self._work.fetch is not None:
            fetch(path, self._work.fetch)
        with ModelFile.open(path) as file:
            file.require_native()
            return wire.Facts(program(), weights_of(file), runtime.isa().name)

    def _load(self, host: str, key: bytes) -> wire.Loaded:
        bus_error.install()
        work, part = self._work, self._part
        threads = work.loading["threads"] or min(keep_to_cores(part), max(1, part.num_cpus))
        memory = min(work.loading["memory"] or part.memory, part.memory)
        loading = {**work.loading, "threads": threads, "memory": memory}
        llm = self._llm = load(model_path(work), **loading)
        identity = self.begin(llm, loading)
        self._listener = listening(host, key)
        return wire.Loaded(port_of(self._listener), identity, list(llm.notices))

    def _receive(self, connection: Connection) -> None:
        while True:
            try:
                data = connection.recv_bytes()
            except (EOFError, OSError):  # the driver has left
                hang_up(connection)
                return
            try:
                for message in json.loads(data):
                    self.take(message)
            except Exception as e:
                self._end(e)

    def _told(self) -> bytes:
        if self._lost is None:
            try:
                return self.told()
            except Exception as e:
                self._end(e)
        return wire.pack_lost(self._lost or "")

    def _end(self, error: Exception) -> None:
        self._lost = str(error) or type(error).__name__
        self.wake()


def model_path(work: Work) -> Path:
    """The model on this host; the bundled one lies where its package does."""
    return BUNDLED_MODEL if work.model is None else Path(work.model)


def weights_of(file: ModelFile) -> str:
    """Names a model file's weights, in hex, by its table of hashes."""
    return sha256(file.view(HASHES)).hexdigest()


def program() -> str:
    """Names the sources of this package, in hex: hosts with others may answer otherwise."""
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


def keep_to_cores(part: Part) -> int:
    """Lets this thread and those that it starts run on their part of the CPUs, whole cores and neighbours; the number
    of cores. An engine that has the host alone may run everywhere, and where engines are more than cores, the system
    shares these out."""
    if part.count == 1:
        return usable_cores()
    cores = cpus_by_core()
    if part.count > len(cores):
        return 1
    begin, end = (len(cores) * number // part.count for number in (part.number, part.number + 1))
    mine = cores[begin:end]
    os.sched_setaffinity(0, [cpu for core in mine for cpu in core])
    return len(mine)


def said(work: Callable[[], Any]) -> bytes:
    """What work() returns, a NamedTuple or nothing, or why it cannot be."""
    try:
        return wire.pack(work())
    except (KimiError, OSError, MemoryError) as e:
        return wire.pack_refusal(f"{e.filename}: {e.strerror}" if isinstance(e, OSError) and e.filename else str(e))
