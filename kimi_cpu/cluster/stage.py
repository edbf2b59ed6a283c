"""A part of a model on a host, as Ray runs it: a class of plain methods that knows nothing of Ray."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, Listener
from typing import NamedTuple

from ..config import size_bytes
from ..kernels import runtime
from ..kernels.codegen import bus_error
from ..llm.loading import Part as ModelPart
from ..llm.loading import make_part, prepare_thread, shares_of
from ..llm.memory import CHUNK, bytes_of_page
from ..llm.options import LoadOptions, options_of
from ..llm.pressure import MemoryWatch
from ..machine import trim_heap, usable_memory
from ..modelfile import ModelFile
from ..plan import memory_bandwidth
from .actor import keep_to_cores, model_path, program, said, weights_of
from .fetching import fetch
from .link import FAILURES, Address, accepted, connect, hang_up, listening, port_of
from .stage_loop import StageLoop, bytes_on_the_way
from .work import Part, Work

DRIVER, STAGE = b"driver", b"stage"  # what a connection says that it comes from


class StageFacts(NamedTuple):
    """What a host says before it knows its layers. program, weights, tier: see wire.Facts. layers: begin and end of
    those that its file has. memory: bytes that its part may use. speed: GB/s at which it reads them; 0: not measured.
    """

    program: str
    weights: str
    tier: str
    layers: list[int]
    memory: int
    speed: float


class StageShares(NamedTuple):
    """The sizes that some layers have room for on a host (see llm.memory.Shares), and the bytes of their weights."""

    context: int
    chunk: int
    num_pages: int
    weights: int


class StageLoaded(NamedTuple):
    """A part of a model that is ready. port: it listens there. num_pages, page_bytes: of its part of the cache.
    num_bytes: of its weights. notices: sentences for the owner of its host."""

    port: int
    num_pages: int
    page_bytes: int
    num_bytes: int
    notices: list[str]


class StageActor:
    """Some layers of a model, on a part of a host. Methods are called in the order in which they stand here, those that
    follow `run` while it runs. All but `run` return JSON, as bytes, and raise nothing."""

    def __init__(self, work: bytes, part: Part):
        self._work, self._part = Work.unpacked(work), part
        self._file: ModelFile | None = None
        self._listener: Listener | None = None
        self._model: ModelPart | None = None
        self._options = LoadOptions()
        self._threads: int | None = None

    def facts(self) -> bytes:
        """StageFacts, once the model file is there."""
        return said(self._facts)

    def shares(self, begin: int, end: int) -> bytes:
        """StageShares, if these layers were the stage's."""
        return said(lambda: self._shares(range(begin, end)))

    def load(self, begin: int, end: int, common: Mapping[str, int], host: str, key: bytes) -> bytes:
        """Loads these layers, and listens at an address of this host: StageLoaded. common: context, chunk and num_pages
        of all stages. key: of the run's connections."""
        return said(lambda: self._load(range(begin, end), common, host, key))

    def run(self, after: Address | None, key: bytes) -> None:
        """Computes until the driver leaves. after: the next stage's address; None: this is the last one."""
        assert self._model is not None and self._listener is not None, "load comes before run"
        keep_to_cores(self._part)  # this thread as well
        with self._listener:
            onwards = None if after is None else connect_as(STAGE, after, key)
            peers = self._accepted()
        loop = StageLoop(self._model.model, partial(prepare_thread, self._options), peers[DRIVER])
        watch = MemoryWatch(loop.post, self._model.weights, None) if self._model.weights.residency else None
        try:
            loop.run(peers.get(STAGE), onwards)
        finally:
            for connection in (*peers.values(), *([] if onwards is None else [onwards])):
                hang_up(connection)
            if watch is not None:
                watch.close()
            self._model.weights.close()

    def read(self) -> bytes:
        """Brings the weights back to memory after `release`: nothing, or why that cannot be."""
        assert self._model is not None, "load comes before read"
        return said(partial(self._model.weights.read, None))

    def experts(self) -> bytes:
        """ExpertsState; nothing when no experts come from disk."""
        assert self._model is not None, "load comes before experts"
        return said(self._model.weights.experts)

    def release(self) -> bytes:
        """Gives the memory of the weights back."""
        assert self._model is not None, "load comes before release"
        self._model.weights.release()
        trim_heap()
        return said(lambda: None)

    def _facts(self) -> StageFacts:
        if self._work.fetch is not None:
            fetch(model_path(self._work), self._work.fetch)
        file = self._opened()
        file.require_native()
        speed = (memory_bandwidth().measured() or 0.0) / self._part.count
        own = file.own_layers()
        layers = [own.start, own.stop]
        return StageFacts(program(), weights_of(file), runtime.isa().name, layers, self._memory(), speed)

    def _shares(self, layers: range) -> StageShares:
        file = self._opened()
        shares = shares_of(file, layers, self._options_of(layers, CHUNK))
        if shares.chunk > CHUNK:
            longer = replace(self._options_of(layers, shares.chunk), chunk=shares.chunk)
            shares = shares_of(file, layers, longer)
        weights = sum(file.sizes(layers).values())
        return StageShares(shares.context, shares.chunk, shares.num_pages, weights)

    def _load(self, layers: range, common: Mapping[str, int], host: str, key: bytes) -> StageLoaded:
        bus_error.install()
        self._threads = min(keep_to_cores(self._part), max(1, self._part.num_cpus))
        if not runtime.compiled():
            runtime.warmup(None)
        context, chunk, num_pages = (common[size] for size in ("context", "chunk", "num_pages"))
        options = self._options_of(layers, chunk)
        file, page = self._opened(), bytes_of_page(self._opened().config.part(layers), options)
        self._options = replace(options, context=context, chunk=chunk, cache_memory=num_pages * page)
        self._model = model = make_part(file, layers, self._options)
        self._listener = listening(host, key)
        port, pages = port_of(self._listener), model.model.pages
        return StageLoaded(port, pages.num_pages, pages.page_bytes, model.needs.weights, list(model.notices))

    def _options_of(self, layers: range, chunk: int) -> LoadOptions:
        """The options of loading, for these layers and this host, whose memory also has the rows of steps that are on
        their way. chunk: tokens of a step at most."""
        options = options_of(self._work.loading)
        cache_memory = options.cache_memory
        if cache_memory is not None:
            cache_memory = size_bytes(cache_memory) * len(layers) // self._opened().config.num_hidden_layers
        threads = options.threads or self._threads
        memory = max(0, self._memory() - bytes_on_the_way(self._opened().config, chunk))
        return replace(options, memory=memory, threads=threads, cache_memory=cache_memory)

    def _memory(self) -> int:
        given = self._work.loading.get("memory")
        return min(self._part.memory, usable_memory(), *([] if given is None else [size_bytes(given)]))

    def _opened(self) -> ModelFile:
        if self._file is None:
            self._file = ModelFile.open(model_path(self._work))
        return self._file

    def _accepted(self) -> dict[bytes, Connection]:
        """The connections of the driver, and of the stage before where there is one."""
        assert self._model is not None and self._listener is not None, "load comes before run"
        found: dict[bytes, Connection] = {}
        wanted = {DRIVER} if self._model.model.layers.start == 0 else {DRIVER, STAGE}
        while found.keys() != wanted:
            with suppress(*FAILURES):  # it has left already
                connection = accepted(self._listener)
                found[connection.recv_bytes(len(DRIVER))] = connection
        return found


def connect_as(who: bytes, address: Address, key: bytes) -> Connection:
    """A connection to a stage, from the driver or another one. One of link.FAILURES."""
    connection = connect(address, key)
    connection.send_bytes(who)
    return connection
