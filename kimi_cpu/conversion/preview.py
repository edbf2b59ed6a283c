"""The model file that a checkpoint would become: its size, and what it will need, before any conversion or download."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config import config_from_hf
from ..errors import CheckpointError, UnsupportedCheckpoint
from ..modelfile import ModelFile
from ..modelfile.layout import ARCHITECTURE
from ..plan import Needs, needs
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
class Preview:
    """file: bytes of the model file. unknown: what is not there to be read and so not in `file`, which is exact
    otherwise."""

    file: int
    needs: Needs
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
    path, make_plan = Path(path), planner(layout, dense)
    if path.suffix == ".json":
        unknown = (WITHOUT_TOKENIZER, f"the texts beside config.json, and {WITHOUT_SHARDS}")
        return _converted(_imagined(path, None), make_plan, context, kv, unknown)
    if path.is_dir():
        return _of_directory(path, make_plan, context, kv)
    with ModelFile.open(path) as file:
        if file.architecture == ARCHITECTURE:
            sizes = {t.name: t.nbytes for t in file.tensors.values()}
            return Preview(path.stat().st_size, needs(file.config, sizes, context, kv))
    with open_source(path) as source:
        return _converted(source, make_plan, context, kv)


def _of_directory(path: Path, make_plan: Callable[[Source], Plan], context: int | None, kv: str) -> Preview:
    """The preview of a checkpoint of which perhaps only config.json is there."""
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
) -> Preview:
    """The preview of what the converter would make of a source."""
    planned = make_plan(source)
    sizes = {o.spec.name: o.spec.nbytes for o in planned.outputs}
    return Preview(place(planned).size, needs(source.config, sizes, context, kv), unknown)


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
