"""What a model will need, from its configuration alone: before any download or conversion."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..config import ModelConfig
from ..kernels import cache_layer_bytes
from ..kernels.arrays import PAGE_TOKENS
from ..modelfile import HASHES, ModelFile, header_bytes
from ..modelfile.layout import ARCHITECTURE, EXPERTS_SUFFIX
from . import names, native
from .driver import hash_output
from .hf import read_config, read_ranks, read_texts
from .quantization import check_quantization, quantization_of
from .source import Source, SourceTensor, naming, open_source


@dataclass(frozen=True)
class Needs:
    """Bytes. weights: all of them; dense: without routed experts; expert: one expert; token: read for one token."""

    file: int
    weights: int
    dense: int
    expert: int
    num_experts: int
    token: int
    cache_token: int
    cache: int
    context: int

    @property
    def memory(self) -> int:
        """RAM to run at the speed of memory: all weights and the cache at the context."""
        return self.weights + self.cache

    def as_dict(self) -> dict:
        """All figures by name."""
        return asdict(self) | {"memory": self.memory}


def plan(path: str | Path, context: int | None = None, dense: str = "q8_0", kv: str = "f16") -> Needs:
    """Needs of a checkpoint directory, a bare config.json, or a model file. context: default the model's own."""
    path = Path(path)
    if path.is_dir() or path.suffix == ".json":
        return _converted(_imagined(path), dense, context, kv)
    with ModelFile.open(path) as file:
        if file.architecture == ARCHITECTURE:
            sizes = {t.name: t.nbytes for t in file.tensors.values() if t.name != HASHES}
            return _needs(file.config, sizes, path.stat().st_size, context, kv)
    with open_source(path) as source:
        return _converted(source, dense, context, kv)


def _converted(source: Source, dense: str, context: int | None, kv: str) -> Needs:
    """Needs of what the converter would make of a source."""
    outputs = native.plan(source, dense)
    everything = [*outputs.outputs, hash_output(outputs.outputs)]
    _, offsets = header_bytes(ARCHITECTURE, outputs.metadata, [o.spec for o in everything])
    size = offsets[-1] + everything[-1].spec.nbytes
    return _needs(source.config, {o.spec.name: o.spec.nbytes for o in outputs.outputs}, size, context, kv)


def _needs(config: ModelConfig, sizes: dict[str, int], size: int, context: int | None, kv: str) -> Needs:
    experts = _total(sizes, (n for n in sizes if n.endswith(EXPERTS_SUFFIX)))
    weights = _total(sizes, (n for n in sizes if not n.startswith("tokenizer.")))
    embedding = 0 if config.tie_word_embeddings else sizes["token_embd.weight"]  # one row of it a token
    num_moe = sum(config.is_moe_layer(n) for n in range(config.num_hidden_layers))
    expert = experts // (num_moe * config.n_routed_experts) if experts else 0
    context = context or config.max_position_embeddings
    layer = cache_layer_bytes(kv, config.kv_lora_rank, config.qk_rope_head_dim)
    page = layer * config.num_hidden_layers
    return Needs(
        file=size,
        weights=weights,
        dense=weights - experts,
        expert=expert,
        num_experts=num_moe * config.n_routed_experts,
        token=weights - experts - embedding + num_moe * config.num_experts_per_tok * expert,
        cache_token=page // PAGE_TOKENS,
        cache=-(-context // PAGE_TOKENS) * page,
        context=context,
    )


def _total(sizes: dict[str, int], chosen: Iterable[str]) -> int:
    return sum(sizes[name] for name in chosen)


def _imagined(path: Path) -> Source:
    """A source with the tensors that a checkpoint of this configuration has, and none of its weights.

    path: a directory, of whose files only config.json must be there, or a config.json.
    """
    directory = path if path.is_dir() else None
    text, hf = read_config(path / "config.json" if directory else path)
    with naming(path / "config.json" if directory else path):
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
        tensors[name] = SourceTensor(name, dtype, shape, path, 0, 0)
    for name, length in names.vectors(config):
        tensors[name] = SourceTensor(name, "F32", (length,), path, 0, 0)
    source = Source(path, path.resolve().name, text, config, [], tensors, warnings=warnings)
    if directory:
        source.texts, source.ranks = read_texts(directory), read_ranks(directory)
    return source
