"""Looks at a checkpoint or a GGUF file: its contents, and the model file that it would become."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..config import ModelConfig, config_from_gguf, config_from_hf
from ..errors import CheckpointError, UnsupportedCheckpoint
from ..modelfile import ModelFile
from ..modelfile.layout import ARCHITECTURE
from .blueprint import Blueprint, place
from .checkpoint import open_source, read_config, read_ranks, read_texts
from .gguf_source import read_parts
from .source import Source, SourceTensor, naming
from .tensors import check_quantization, linears, quantization_of, vectors

if TYPE_CHECKING:
    from ..plan import Needs

CLASSES = (  # part of a tensor's name, in a checkpoint or in a file: class. The first that fits.
    ("norm", "norms"),
    ("shared_experts", "shared experts"),
    ("shexp", "shared experts"),
    ("experts.", "routed experts"),
    ("_exps", "routed experts"),
    ("self_attn", "attention"),
    ("attn_", "attention"),
    ("embd", "embedding and head"),
    ("embed_tokens", "embedding and head"),
    ("lm_head", "embedding and head"),
    ("output.weight", "embedding and head"),
    ("mlp.gate.", "router"),
    ("gate_inp", "router"),
    ("exp_probs_b", "router"),
    ("tokenizer", "tokenizer"),
    ("mlp.", "dense MLP"),
    ("ffn_", "dense MLP"),
)
WITHOUT_TOKENIZER = "the tokenizer (tiktoken.model; Kimi K2's adds 6.0 MB)"
WITHOUT_SHARDS = "the list of the checkpoint's files (some KB)"


@dataclass(frozen=True)
class Contents:
    """kind: what it is; tensors: (name, dtype, shape, bytes) in file order; sizes: class -> bytes."""

    path: str
    kind: str
    config: ModelConfig
    tensors: list[tuple[str, str, list[int], int]]
    sizes: dict[str, int]
    warnings: list[str]

    def as_dict(self) -> dict:
        """All of it as JSON's types."""
        return asdict(self)


def inspect(path: str | Path) -> Contents:
    """Contents of a checkpoint directory or a GGUF file. ModelFileError, CheckpointError, ConfigError."""
    path = Path(path)
    if path.is_dir():
        with open_source(path) as source:
            tensors = [(t.name, t.dtype, list(t.shape), t.nbytes) for t in source.tensors.values()]
            return _contents(path, "Hugging Face checkpoint", source.config, tensors, source.warnings)
    with ModelFile.open(path) as file:
        if file.architecture == ARCHITECTURE:
            packed, layers, kind = file.packed_kinds(), file.own_layers(), "model file, native layout"
            if layers != file.config.layers:
                kind = f"part of a {kind}, with layers {layers.start} to {layers.stop - 1}"
            tensors = [
                (t.name, packed.get(t.name, t.ggml_type), list(t.shape), t.nbytes) for t in file.own_tensors().values()
            ]
            return _contents(path, kind, file.config, tensors, [])
    parts = read_parts(path)
    metadata = next(iter(parts.values())).metadata
    found = {name: t for header in parts.values() for name, t in header.tensors.items()}
    with naming(path):
        config, warnings = config_from_gguf(metadata, "output.weight" not in found)
    tensors = [(name, t.dtype, list(t.shape), t.nbytes) for name, t in found.items()]
    return _contents(path, f"GGUF file of architecture {metadata['general.architecture']}", config, tensors, warnings)


def _contents(path: Path, kind: str, config: ModelConfig, tensors: list, warnings: list[str]) -> Contents:
    sizes: dict[str, int] = defaultdict(int)
    for name, _, _, nbytes in tensors:
        sizes[next((label for part, label in CLASSES if part in name), "other")] += nbytes
    return Contents(str(path), kind, config, tensors, dict(sizes), list(warnings))


@dataclass(frozen=True)
class Preview:
    """file, tensors: bytes of the model file, and of its tensors by name. unknown: what is not there to be read and so
    not in `file`, which is exact otherwise."""

    config: ModelConfig
    tensors: dict[str, int]
    file: int
    needs: "Needs"
    unknown: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """All figures by name."""
        n = self.needs
        return {
            "file": self.file,
            "weights": n.weights,
            "dense": n.dense,
            "expert": n.expert,
            "num_experts": n.num_experts,
            "token": n.token,
            "cache_token": n.cache_token,
            "cache": n.cache,
            "context": n.context,
            "unknown": self.unknown,
            "memory": n.memory,
        }


def preview(
    path: str | Path, context: int | None = None, dense: str = "q8_0", kv: str = "f16", layout: str = "native"
) -> Preview:
    """The model file that a checkpoint directory, a bare config.json or a GGUF file would become.

    context: default the model's own. dense, layout: as for convert. A model file is taken as it is, whatever they say.
    """
    from ..plan import needs
    from .driver import chosen_layout  # loads Numba, which who only inspects need not wait for

    found = _sizes(Path(path), chosen_layout(layout, dense))
    needed = needs(found.config, found.tensors, context, kv)
    return Preview(found.config, found.tensors, found.file, needed, found.unknown)


class _Sizes(NamedTuple):
    """Bytes of a model file and of its tensors. unknown: as in Preview."""

    config: ModelConfig
    tensors: dict[str, int]
    file: int
    unknown: tuple[str, ...] = ()


def _sizes(path: Path, draw: Callable[[Source], Blueprint]) -> _Sizes:
    if path.suffix == ".json":
        unknown = (WITHOUT_TOKENIZER, f"the texts beside config.json, and {WITHOUT_SHARDS}")
        return _drawn(_imagined(path, None), draw, unknown)
    if path.is_dir():
        return _of_directory(path, draw)
    with ModelFile.open(path) as file:
        if file.architecture == ARCHITECTURE:
            return _Sizes(file.config, {t.name: t.nbytes for t in file.tensors.values()}, path.stat().st_size)
    with open_source(path) as source:
        return _drawn(source, draw)


def _of_directory(path: Path, draw: Callable[[Source], Blueprint]) -> _Sizes:
    """Sizes of a checkpoint of which perhaps only config.json is there."""
    try:
        source = open_source(path)
    except UnsupportedCheckpoint:
        raise
    except CheckpointError as e:
        source, unknown = _imagined(path / "config.json", path), (f"{WITHOUT_SHARDS}, since {e}",)
        return _drawn(source, draw, unknown if source.ranks else (WITHOUT_TOKENIZER, *unknown))
    with source:
        return _drawn(source, draw)


def _drawn(source: Source, draw: Callable[[Source], Blueprint], unknown: tuple[str, ...] = ()) -> _Sizes:
    """Sizes of what the converter would make of a source."""
    blueprint = draw(source)
    tensors = {t.spec.name: t.spec.nbytes for t in blueprint.tensors}
    return _Sizes(source.config, tensors, place(blueprint).size, unknown)


def _imagined(config_file: Path, directory: Path | None) -> Source:
    """A source with the tensors that a checkpoint of this configuration has, and none of its weights.

    directory: where its texts and its tokenizer are, as far as they are.
    """
    text, hf = read_config(config_file)
    with naming(config_file):
        config, warnings = config_from_hf(hf)
        check_quantization(hf)
    method = (quantization_of(hf) or {}).get("quant_method")
    tensors = {}
    for module, rows, cols in linears(config):
        if method == "compressed-tensors" and ".mlp.experts." in module:
            name, dtype, shape = f"{module}.weight_packed", "I32", (rows, cols // 8)
        else:
            name, shape = f"{module}.weight", (rows, cols)
            dtype = "F8_E4M3" if method == "fp8" and ".mlp.experts." in module else "BF16"
        tensors[name] = SourceTensor(name, dtype, shape, config_file, 0, 0)
    for name, length in vectors(config):
        tensors[name] = SourceTensor(name, "F32", (length,), config_file, 0, 0)
    name = (directory or config_file).resolve().name
    source = Source(directory or config_file, name, text, config, [], tensors, warnings=warnings)
    if directory:
        source.texts, source.ranks = read_texts(directory), read_ranks(directory)
    return source
