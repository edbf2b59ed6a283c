"""What a checkpoint directory or a GGUF file holds: configuration, sizes by class, tensors."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from ..config import ModelConfig, config_from_gguf
from ..modelfile import ModelFile
from ..modelfile.layout import ARCHITECTURE
from .gguf_source import read_parts
from .source import naming, open_source

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
            packed = file.packed_kinds()
            tensors = [
                (t.name, packed.get(t.name, t.ggml_type), list(t.shape), t.nbytes) for t in file.tensors.values()
            ]
            return _contents(path, "model file, native layout", file.config, tensors, [])
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
