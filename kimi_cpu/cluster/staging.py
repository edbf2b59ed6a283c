"""A model that is spread over stages of a Ray cluster: which layers they have, and the engine over them."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from ..errors import ConfigError, EngineDeadError
from ..llm import BUNDLED_MODEL, LLM, LoadKeywords
from ..llm.loading import Loaded, engine_of
from ..llm.options import LoadOptions, Progress, options_of
from ..modelfile import ModelFile
from ..plan import layer_sizes, needs, split
from ..residency import ExpertsState, Figures
from . import fetching
from .actor import program
from .link import FAILURES, hang_up
from .replica_wire import experts_of
from .stage import DRIVER, StageFacts, StageLoaded, connect_as
from .stage_group import StageGroup
from .staged_model import Cache, Stage, StagedModel
from .work import Work

ROOM = 7 / 8  # of a host's memory, for weights: the rest is for the cache and the program
ON_HOSTS = {  # options of loading that are the stages' own
    "threads",
    "context",
    "kv",
    "compute",
    "chunk",
    "parallel",
    "cache_memory",
    "memory",
    "preload",
    "nice",
    "numa",
}


class Common(NamedTuple):
    """The sizes that stages have in common: tokens of a request, tokens of a piece of a step, pages of the cache."""

    context: int
    chunk: int
    num_pages: int


def load_stages(
    path: Path,
    num_stages: int,
    tell: Callable[[str], None],
    fetch: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[LoadKeywords],
) -> LLM:
    """A model whose layers are spread over stages on hosts of the cluster that this process is connected to. Otherwise
    as kimi_cpu.load; the answers are the same.

    path: of the model on all hosts, this one included. fetch: see Work. tell: takes sentences for the person who runs
    this. ConfigError: the cluster has too few places, or hosts that differ. EngineDeadError: a stage is gone already.
    """
    loading: dict[str, Any] = {name: value for name, value in options.items() if name in ON_HOSTS and value is not None}
    work = Work(None if path == BUNDLED_MODEL else str(path.absolute()), fetch, loading, False)
    if fetch is not None:
        fetching.fetch(path, fetch)
    return LLM(path, options_of(options), progress, partial(make_engine, partial(StageGroup, num_stages, work), tell))


def make_engine(
    grouped: Callable[[], StageGroup],
    tell: Callable[[str], None],
    file: ModelFile,
    options: LoadOptions,
    progress: Progress | None,
) -> Loaded:
    """See llm.loading.MakeEngine. grouped: makes the actors of the stages."""
    config = file.config
    if options.record_experts:
        raise ConfigError("Experts cannot be recorded in stages; record them on one host.")
    if config.moe_layer_freq != 1:
        raise ConfigError(f"{file.path}: layers with and without experts take turns; that cannot be cut into stages.")
    weights = StagedWeights(grouped())
    try:
        facts = weights.facts()
        layers = stages_of(file, facts)
        common = weights.load(layers, progress, tell)
        model = weights.start(options.kv, common.chunk, config.vocab_size)
        engine = engine_of(model, file, options, facts[0].tier)
    except BaseException:
        weights.close()
        raise
    needed = needs(config, file.sizes(config.layers), common.context, options.kv)
    return Loaded(engine, model, weights, common.context, needed, (), on_loss=model.on_loss)


class StagedWeights:
    """See llm.loading.WeightsMemory: weights in the memory of other processes."""

    residency = None
    is_unsettled = False

    def __init__(self, group: StageGroup):
        self._group, self._key = group, secrets.token_bytes(32)
        self._loaded: list[StageLoaded] = []
        self._stages: list[Stage] = []

    def facts(self) -> list[StageFacts]:
        """Of the hosts, which are alike, in the order of the parts of the file that they have. ConfigError: they are
        not."""
        facts = [StageFacts(**said) for said in self._group.ask("facts")]
        facts = [facts[index] for index in self._group.sort([own.layers for own in facts])]
        for place, own in zip(self._group.places, facts, strict=True):
            if own.program != program():
                raise ConfigError(f"{place.name} has another kimi-cpu than this host. Install the same on all hosts.")
            if own.weights != facts[0].weights:
                raise ConfigError(f"{place.name} has another model file than the first. Copy the same file to all.")
            if own.tier != facts[0].tier:
                raise ConfigError(
                    f"{place.name} has kernels for {own.tier}, the first for {facts[0].tier}: answers would be no "
                    "host's. Set KIMI_CPU_ISA to the lesser one on all hosts."
                )
        return facts

    def load(self, layers: Sequence[range], progress: Progress | None, tell: Callable[[str], None]) -> Common:
        """Has each stage load its layers, with the largest sizes that all have room for."""
        places = self._group.places
        shares = self._group.ask("shares", [(own.start, own.stop) for own in layers])
        common = Common(*(min(share[size] for share in shares) for size in Common._fields))
        arguments = [
            (own.start, own.stop, common._asdict(), place.host, self._key)
            for own, place in zip(layers, places, strict=True)
        ]
        sizes = [share["weights"] for share in shares]
        self._loaded = [StageLoaded(**said) for said in self._group.ask("load", arguments, _counted(progress, sizes))]
        for place, own, loaded in zip(places, layers, self._loaded, strict=True):
            tell(f"{place.name} has layers {own.start} to {own.stop - 1}.")
            for notice in loaded.notices:
                tell(f"{place.name}: {notice}")
        return common

    def start(self, kv: str, chunk: int, vocab_size: int) -> StagedModel:
        """The model of the stages, which run from now on. kv: the cache's type. EngineDeadError: one is gone."""
        places = self._group.places
        addresses = [(place.host, loaded.port) for place, loaded in zip(places, self._loaded, strict=True)]
        self._group.run([(after, self._key) for after in (*addresses[1:], None)])
        for place, address, loaded in zip(places, addresses, self._loaded, strict=True):
            try:
                connection = connect_as(DRIVER, address, self._key)
            except FAILURES as e:
                raise EngineDeadError(f"{place.name} cannot be reached at port {address[1]} ({e}).") from e
            self._stages.append(Stage(place.name, connection, loaded.page_bytes))
        cache = Cache(kv, min(loaded.num_pages for loaded in self._loaded))
        model = StagedModel(self._stages, cache, chunk, vocab_size)
        self._group.watch(model.lose)
        return model

    def read(self, progress: Progress | None) -> None:
        """See WeightsMemory."""
        self._group.ask("read", told=_counted(progress, [loaded.num_bytes for loaded in self._loaded]))

    def release(self) -> None:
        """See WeightsMemory."""
        self._group.ask("release")

    def experts(self) -> ExpertsState | None:
        """See WeightsMemory: of the stages that read experts from disk, together. EngineDeadError: one is gone."""
        return together([experts_of(list(said.values())) for said in self._group.ask("experts") if said])

    def look(self, now_s: float, spare: int, stalled: float) -> int:
        """See WeightsMemory; of this process's memory nothing can be given back."""
        return max(0, -spare)

    def settle(self) -> None:
        """There is nothing to do: each stage looks after its own memory."""

    def close(self) -> None:
        """Ends the stages."""
        for stage in self._stages:
            hang_up(stage.connection)
        self._group.close()


def together(states: Sequence[ExpertsState]) -> ExpertsState | None:
    """The numbers of several engines as those of one; None: there is none. Of their last uses, each engine's count as
    much as it has had in all."""
    if not states:
        return None
    slots, experts, uses, hits, read = (sum(numbers) for numbers in zip(*(state[:5] for state in states), strict=True))
    known = [(state.recent, state.num_uses) for state in states if state.recent is not None]
    weight = sum(count for _, count in known)
    rates = [sum(recent[at] * count for recent, count in known) for at in range(len(Figures._fields))]
    recent = Figures(*(rate / weight for rate in rates)) if weight else None
    return ExpertsState(slots, experts, uses, hits, read, recent)


def stages_of(file: ModelFile, facts: Sequence[StageFacts]) -> list[range]:
    """The layers of each stage: as many as its host has memory for, and such that the slowest is as fast as it can be.
    Where there is too little memory for the whole, it is shared out by time alone, and experts come from disk. Hosts
    that have parts of the file have the layers of these.

    ConfigError: there are fewer layers than stages, or the parts are not the whole.
    """
    config = file.config
    if len(facts) > config.num_hidden_layers:
        raise ConfigError(f"{file.path} has {config.num_hidden_layers} layers, too few for {len(facts)} stages.")
    parts = [range(*own.layers) for own in facts]
    if any(part != config.layers for part in parts):
        if [layer for part in parts for layer in part] != list(config.layers):
            there = ", ".join(f"{part.start} to {part.stop - 1}" for part in parts)
            raise ConfigError(
                f"{file.path}: the hosts have layers {there}. Each needs another part of the same "
                f"`kimi-cpu convert --stages {len(facts)}`, or all of them the whole file."
            )
        return parts
    sizes = layer_sizes(config, file.sizes(config.layers))
    speeds = [own.speed for own in facts] if all(own.speed for own in facts) else [1.0] * len(facts)
    rooms = [int(ROOM * own.memory) for own in facts]
    found = split(sizes.read, sizes.all, speeds, rooms)
    found = found or split(sizes.read, sizes.all, speeds, [sum(sizes.all)] * len(facts))
    assert found is not None, "there are as many layers as stages"
    return found


def _counted(progress: Progress | None, sizes: Sequence[int]) -> Callable[[int], None]:
    """Tells of bytes when the stages, which have so many each, tell of themselves."""

    def told(index: int) -> None:
        if progress is not None:
            progress(sum(sizes[: index + 1]), sum(sizes))

    return told
