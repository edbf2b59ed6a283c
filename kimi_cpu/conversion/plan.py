"""What a model will need, from its configuration alone: before any download or conversion."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..config import ModelConfig
from ..errors import CheckpointError, UnsupportedCheckpoint
from ..kernels import cache_layer_bytes
from ..kernels.arrays import PAGE_TOKENS
from ..modelfile import Demand, ModelFile, demand
from ..modelfile.layout import ARCHITECTURE
from . import names
from .driver import planner
from .hf import read_config, read_ranks, read_texts
from .jobs import Plan
from .placement import place
from .quantization import check_quantization, quantization_of
from .source import Source, SourceTensor, naming, open_source

WITHOUT_TOKENIZER = "the tokenizer (tiktoken.model; Kimi K2's adds 6.0 MB)"
WITHOUT_SHARDS = "the list of the checkpoint's files (some KB)"


@dataclass(frozen=True)
class Needs:
    """Bytes. weights: all of them; dense: without routed experts; expert: one expert; token: read for one token.

    unknown: what is not there to be read and so not in `file`, which is exact otherwise.
    """

    file: int
    weights: int
    dense: int
    expert: int
    num_experts: int
    token: int
    cache_token: int
    cache: int
    context: int
    demand: Demand
    unknown: tuple[str, ...] = ()

    @property
    def memory(self) -> int:
        """RAM to run at the speed of memory: all weights and the cache at the context."""
        return self.weights + self.cache

    def from_disk(self, memory: int) -> int:
        """Read from disk for one token where there is so much RAM; see Demand."""
        return self.demand.from_disk(max(0, memory - self.cache))

    def as_dict(self) -> dict:
        """All figures by name."""
        figures = asdict(self) | {"memory": self.memory}
        del figures["demand"]
        return figures


def plan(
    path: str | Path, context: int | None = None, dense: str = "q8_0", kv: str = "f16", layout: str = "native"
) -> Needs:
    """Needs of a checkpoint directory, a bare config.json, a GGUF file or a model file.

    context: default the model's own. dense, layout: as for convert; a model file is what it is.
    """
    path, make_plan = Path(path), planner(layout, dense)
    if path.suffix == ".json":
        unknown = (WITHOUT_TOKENIZER, f"the texts beside config.json, and {WITHOUT_SHARDS}")
        return _converted(_imagined(path, None), make_plan, context, kv, unknown)
    if path.is_dir():
        return _of_directory(path, make_plan, context, kv)
    with ModelFile.open(path) as file:
        if file.architecture == ARCHITECTURE:
            sizes = {t.name: t.nbytes for t in file.tensors.values()}
            return _needs(file.config, sizes, path.stat().st_size, context, kv)
    with open_source(path) as source:
        return _converted(source, make_plan, context, kv)


def _of_directory(path: Path, make_plan: Callable[[Source], Plan], context: int | None, kv: str) -> Needs:
    """Needs of a checkpoint of which perhaps only config.json is there."""
    try:
        source = open_source(path)
    except UnsupportedCheckpoint:
        raise
    except CheckpointError as e:
        source, unknown = _imagined(path / "config.json", path), (f"{WITHOUT_SHARDS}, since {e}",)
        unknown = unknown if source.ranks else (WITHOUT_TOKENIZER, *unknown)
        return _converted(source, make_plan, context, kv, unknown)
    with source:
        return _converted(source, make_plan, context, kv)


def _converted(
    source: Source, make_plan: Callable[[Source], Plan], context: int | None, kv: str, unknown: tuple[str, ...] = ()
) -> Needs:
    """Needs of what the converter would make of a source."""
    planned = make_plan(source)
    sizes = {o.spec.name: o.spec.nbytes for o in planned.outputs}
    return replace(_needs(source.config, sizes, place(planned).size, context, kv), unknown=unknown)


def _needs(config: ModelConfig, sizes: dict[str, int], size: int, context: int | None, kv: str) -> Needs:
    need = demand(config, sizes)
    num_moe = sum(config.is_moe_layer(n) for n in range(config.num_hidden_layers))
    num_experts = num_moe * config.n_routed_experts
    context = context or config.max_position_embeddings
    page = cache_layer_bytes(kv, config.kv_lora_rank, config.qk_rope_head_dim) * config.num_hidden_layers
    return Needs(
        file=size,
        weights=need.weights,
        dense=need.weights - need.experts,
        expert=need.experts // num_experts if num_experts else 0,
        num_experts=num_experts,
        token=need.token,
        cache_token=page // PAGE_TOKENS,
        cache=-(-context // PAGE_TOKENS) * page,
        context=context,
        demand=need,
    )


def _imagined(config_file: Path, directory: Path | None) -> Source:
    """A source with the tensors that a checkpoint of this configuration has, and none of its weights.

    directory: where its texts and its tokenizer are, as far as they are.
    """
    text, hf = read_config(config_file)
    with naming(config_file):
        config, warnings = ModelConfig.from_hf(hf)
        check_quantization(hf)
    method = (quantization_of(hf) or {}).get("quant_method")
    tensors = {}
    for module, rows, cols in names.linears(config):
        if method == "compressed-tensors" and ".mlp.experts." in module:
            name, dtype, shape = f"{module}.weight_packed", "I32", (rows, cols // 8)
        else:
            name, shape = f"{module}.weight", (rows, cols)
            dtype = "F8_E4M3" if method == "fp8" and ".mlp.experts." in module else "BF16"
        tensors[name] = SourceTensor(name, dtype, shape, config_file, 0, 0)
    for name, length in names.vectors(config):
        tensors[name] = SourceTensor(name, "F32", (length,), config_file, 0, 0)
    name = (directory or config_file).resolve().name
    source = Source(directory or config_file, name, text, config, [], tensors, warnings=warnings)
    if directory:
        source.texts, source.ranks = read_texts(directory), read_ranks(directory)
    return source
