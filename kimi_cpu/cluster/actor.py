"""An engine on a host, as Ray runs it: a class of plain methods that knows nothing of Ray. Kinds of it answer a batch
or a server."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from hashlib import sha256
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
from .work import Part, Work

PACKAGE = Path(__file__).parents[1]
BEAT_S = 2.0  # an engine that has nothing to say says so after this


class EngineActor(ABC):
    """A model for a part of a host. It is made at once; `facts`, then `load`, and then the methods of its kind are
    called. All that goes in and out is bytes, and nothing is raised."""

    def __init__(self, work: Work, part: Part):
        self._work, self._part = work, part
        self._llm: LLM | None = None

    @abstractmethod
    def begin(self, llm: LLM, loading: Mapping[str, Any]) -> dict[str, str]:
        """Makes ready to answer with a model, which was loaded so; what must be the same on all hosts."""

    def facts(self) -> bytes:
        """wire.Facts, once the model file is there."""
        return said(self._facts)

    def load(self) -> bytes:
        """Loads the model: wire.Loaded."""
        return said(self._load)

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

    def _load(self) -> wire.Loaded:
        bus_error.install()
        work, part = self._work, self._part
        threads = work.loading["threads"] or min(keep_to_cores(part), max(1, part.num_cpus))
        memory = min(work.loading["memory"] or part.memory, part.memory)
        loading = {**work.loading, "threads": threads, "memory": memory}
        llm = self._llm = load(model_path(work), **loading)
        return wire.Loaded(self.begin(llm, loading), list(llm.notices))


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
