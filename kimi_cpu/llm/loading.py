"""Loading a model: the engine that is made of a file and of options."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from ..config import ModelConfig, in_words, size_bytes
from ..engine import DiskStore, Engine, Model, Speculation
from ..errors import ConfigError, EngineDeadError, OutOfMemory
from ..files import user_folder
from ..kernels import runtime, tuner
from ..machine import interleave, interleaved, several_nodes, usable_cores, usable_cpus, usable_memory
from ..model import PAGE_TOKENS, Kimi, KVCache
from ..model.moe import Residency
from ..model.weights import Weights
from ..modelfile import ModelFile
from ..plan import Needs, needs
from ..residency import ExpertsState, ExpertUses, ResidentExperts
from .memory import Shares, share_memory
from .options import LoadOptions, Progress
from .weights import MappedWeights, SlotWeights

log = logging.getLogger(__name__)
BUNDLED_MODEL = Path(__file__).parents[1] / "data" / "demo.gguf"  # its card is demo.md beside it


class RunningModel(Model, Protocol):
    """A model whose memory can be given back while no step runs."""

    def release(self) -> None:
        """Gives the memory of the activations and of the cache back; the next step takes it again."""


class WeightsMemory(Protocol):
    """The weights of a model in memory. residency: brings routed experts, when not all of them are there."""

    @property
    def residency(self) -> ResidentExperts | None: ...

    def read(self, progress: Progress | None) -> None:
        """Brings them to memory, again after `release`. progress: told (bytes there, bytes in all)."""

    def release(self) -> None:
        """Gives their memory back."""

    def experts(self) -> ExpertsState | None:
        """How many of the experts that were needed were there, and what was read; None when all of them are."""

    def look(self, now_s: float, spare: int, stalled: float) -> int:
        """See SlotWeights.look."""
        ...

    @property
    def is_unsettled(self) -> bool: ...

    def settle(self) -> None:
        """See SlotWeights.settle."""

    def close(self) -> None:
        """Ends what they need to run."""


class Loaded(NamedTuple):
    """An engine and the model that it runs, over weights that are to be closed after it, and what its owner may want to
    know: see LLM. prepare, idle: see EngineThread. uses: counts those of experts, when that is asked for. on_loss: has
    a function called with an error when the model is gone, for one that runs elsewhere."""

    engine: Engine
    model: RunningModel
    weights: WeightsMemory
    context: int
    needs: Needs
    notices: tuple[str, ...]
    prepare: Callable[[], object] | None = None
    idle: Callable[[], bool] | None = None
    uses: ExpertUses | None = None
    on_loss: Callable[[Callable[[EngineDeadError], None]], None] | None = None


MakeEngine = Callable[[ModelFile, LoadOptions, Progress | None], Loaded]


class Part(NamedTuple):
    """Some layers of a model, or all of them, over weights that are to be closed after it; and as Loaded."""

    model: Kimi
    weights: MappedWeights | SlotWeights
    shares: Shares
    needs: Needs
    notices: tuple[str, ...]
    uses: ExpertUses | None


def make_engine(file: ModelFile, options: LoadOptions, progress: Progress | None = None) -> Loaded:
    """progress: told (bytes there, bytes in all) of the weights that are read now. ConfigError, ModelFileError,
    OutOfMemory."""
    part = make_part(file, file.config.layers, options, progress)
    try:
        engine = engine_of(part.model, file, options, runtime.isa().name)
    except BaseException:
        part.weights.close()
        raise
    idle = tuner.IdleTuner() if part.weights.residency is None else None  # else memory is counted to the last page
    prepare = partial(prepare_thread, options)
    return Loaded(
        engine, part.model, part.weights, part.shares.context, part.needs, part.notices, prepare, idle, part.uses
    )


def engine_of(model: Model, file: ModelFile, options: LoadOptions, tier: str) -> Engine:
    """The engine over a model of a file. tier: of the kernels that compute it. ConfigError."""
    store = _store(file, options, model.pages.page_bytes, tier)
    speculation = Speculation() if options.speculate else None
    return Engine(model, options.parallel, speculation, store, fair=not options.prompts_first)


def shares_of(file: ModelFile, layers: range, options: LoadOptions) -> Shares:
    """How the memory is shared out that some layers may use. ConfigError, OutOfMemory."""
    return share_memory(file.path, file.config.part(layers), file.sizes(layers), options)


def make_part(file: ModelFile, layers: range, options: LoadOptions, progress: Progress | None = None) -> Part:
    """Some layers of a model, ready to run. Raises as make_engine."""
    file.require_layers(layers)
    config, shares = file.config.part(layers), shares_of(file, layers, options)
    needed = needs(config, file.sizes(layers), shares.context, options.kv)
    told = notices(file.path, needed, shares, usable_memory(), options)
    with interleaved(nodes := memory_nodes(options)) as refused:
        weights = _weights(file, layers, shares, options.preload, needed, progress)
    if nodes:
        told += (_spread(nodes, refused),)
    if isinstance(weights, SlotWeights) and not weights.is_direct:
        told += (f"{file.path}: its file system takes no direct reads (O_DIRECT), and others are slower.",)
    try:
        uses = _uses(file.config, options, weights.residency)
        model = _model(file, layers, weights.weights, shares, options, uses or weights.residency)
    except BaseException:
        weights.close()
        raise
    return Part(model, weights, shares, needed, told, uses)


def _weights(
    file: ModelFile, layers: range, shares: Shares, is_preloaded: bool, needed: Needs, progress: Progress | None
) -> MappedWeights | SlotWeights:
    """The weights in memory, read as far as they are ahead of need. ModelFileError, OutOfMemory."""
    if shares.num_slots is None:
        weights = MappedWeights(file, layers, is_preloaded and needed.weights <= shares.memory)
    else:
        weights = SlotWeights(file, layers, shares.num_slots, shares.slot_bytes, is_preloaded)
    try:
        weights.read(progress)
    except BaseException:
        weights.close()
        raise
    return weights


def memory_nodes(options: LoadOptions) -> list[int]:
    """The memory nodes that weights are to be spread over; none when they are not."""
    return several_nodes() if options.numa == "interleave" else []


def _spread(nodes: list[int], refused: str | None) -> str:
    """The sentence on weights that are to be spread over nodes, and are unless the system refuses."""
    named = f"memory nodes {', '.join(map(str, nodes))}"
    if refused is None:
        return f"The weights are spread over {named}; numa=off leaves them where they are first read."
    return f"The weights cannot be spread over {named} ({refused}); they lie where they are first read."


def _uses(config: ModelConfig, options: LoadOptions, residency: ResidentExperts | None) -> ExpertUses | None:
    if not options.record_experts:
        return None
    return ExpertUses(config.num_hidden_layers, config.n_routed_experts, residency)


def _model(
    file: ModelFile,
    layers: range,
    weights: Weights,
    shares: Shares,
    options: LoadOptions,
    residency: Residency | None,
) -> Kimi:
    """OutOfMemory."""
    config = file.config
    cache = KVCache(options.kv, shares.num_pages, len(layers), config.kv_lora_rank, config.qk_rope_head_dim)
    int8 = options.compute == "int8"
    try:
        return Kimi(config, weights, cache, shares.chunk, int8, layers, residency)
    except MemoryError as e:
        raise OutOfMemory(
            f"{file.path}: there is too little memory for the activations of {shares.chunk} tokens. "
            "Choose a smaller chunk, or give this process more address space (ulimit -v)."
        ) from e


def _store(file: ModelFile, options: LoadOptions, page_bytes: int, tier: str) -> DiskStore | None:
    """Pages are found again by the same weights, cache, arithmetic and instruction set only: the same bits.

    None when there is to be none, or, with a warning, when the directory cannot be used: answers come without it.
    ConfigError: it may not even hold a page.
    """
    if options.cache_disk is None:
        return None
    limit_bytes = size_bytes(options.cache_disk)
    if limit_bytes < 2 * page_bytes:
        raise ConfigError(f"cache_disk is {limit_bytes} bytes; a page of 64 tokens alone takes {page_bytes}.")
    namespace = " ".join([file.model_hash(), options.kv, options.compute, tier])
    home = user_folder("CACHE")
    if options.cache_dir is not None:
        directory = Path(options.cache_dir)
    elif home is not None:
        directory = home / "prefixes"
    else:
        log.warning("there is no home directory; prefixes are not kept on disk. cache_dir can name a folder.")
        return None
    try:
        return DiskStore(directory, limit_bytes, namespace)
    except OSError as e:
        log.warning("cache_dir %s cannot be used (%s); prefixes are not kept on disk.", directory, e.strerror)
        return None


def prepare_thread(options: LoadOptions) -> None:
    """Makes the calling thread one that runs kernels: how many threads it has for them, which begin with its niceness,
    and how far they give way to other programs."""
    if options.nice and sys.platform == "linux":  # elsewhere the whole process has one
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + options.nice)
    with suppress(OSError):  # which is said when weights are read
        interleave(memory_nodes(options))
    runtime.configure(num_threads(options))


def num_threads(options: LoadOptions) -> int:
    """Of the kernels. More than there are CPUs would only wait for each other, and each takes memory."""
    return min(options.threads or usable_cores(), usable_cpus())


def notices(path: Path, needs: Needs, shares: Shares, memory: int, options: LoadOptions) -> tuple[str, ...]:
    """Sentences for the owner of a model before it runs: less memory or fewer threads are used than were asked for, or
    the weights are larger than the memory. memory: bytes that this process may use."""
    told: list[str] = []
    if options.memory is not None and shares.memory < size_bytes(options.memory):
        told.append(f"memory is {options.memory}, and {in_words(memory)} are used: so much may this process use.")
    if shares.num_slots is not None:
        told.append(
            f"{path} has {in_words(needs.weights)} of weights, and {in_words(shares.memory)} of memory are used: "
            f"they hold {shares.num_slots:,} of {needs.num_experts:,} experts, all other weights, and a cache of "
            f"{shares.num_pages * PAGE_TOKENS:,} tokens. Experts that are not there are read from disk."
        )
    elif needs.weights > memory:
        told.append(
            f"{path} has {in_words(needs.weights)} of weights, but this process may use {in_words(memory)} of memory: "
            f"up to {in_words(needs.from_disk(memory))} are read from disk for one token (see `kimi-cpu plan {path}`)."
        )
    threads = num_threads(options)
    if options.threads is not None and options.threads > threads:
        told.append(
            f"{options.threads} threads were asked for, and {threads} are used: so many CPUs may this process run on."
        )
    return tuple(told)


def bundled_note() -> str:
    """The sentence of a program that falls back to the bundled model: its size, and how to get a better one."""
    with ModelFile.open(BUNDLED_MODEL) as file:
        millions = file.num_weights / 1e6
    return (
        f"bundled demonstration model, {millions:.1f} million parameters; for real answers: "
        "kimi-cpu convert Kimi-K2-Thinking -o k2.gguf, then -m k2.gguf"
    )
