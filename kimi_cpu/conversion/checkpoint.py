"""Opens a checkpoint: a GGUF file (gguf_source), or a Hugging Face directory, its files checked against each other."""

import json
import re
from pathlib import Path

from ..config import ModelConfig, config_from_hf, listed
from ..errors import CheckpointError, shown
from ..files import read_regular
from ..filetypes import HEAD_BYTES, mistaken, other_kind
from .gguf_source import open_gguf
from .source import Source, SourceTensor, naming
from .source_files import MappedFile, instead, no_language_model, other_weights, read_header, stranger
from .tensors import FLOATS, GROUP, Quantization, check_quantization, linears, vectors

TEXT_PREFIX = "language_model."  # of the text backbone in Kimi K2.5 and K2.6
TEXT_MODEL_PREFIX = "model.language_model."  # of the same where transformers 5 has saved it, for model.
_VISION = ("vision_tower.", "mm_projector.", "multi_modal_projector.", "visual.")
VISION_PREFIXES = (*_VISION, *(f"model.{prefix}" for prefix in _VISION))
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"[^/\\]{1,200}\.safetensors")
MAX_TEXT_BYTES = 1 << 26  # the largest is the index: 207,360 tensors of Kimi K2 Thinking's experts, 100 bytes each
LINEAR_SUFFIXES = (".weight", ".weight_packed", ".weight_scale", ".weight_shape", ".weight_scale_inv")
LINEAR_SUFFIXES += (".weight_zero_point", ".weight_g_idx")
TEXTS = {  # key of Source.texts: the files that may hold it
    "generation_config": ("generation_config.json",),
    "tokenizer_config": ("tokenizer_config.json",),
    "chat_template": ("chat_template.jinja",),
    "license": ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "license", "LICENSE-MODEL"),
}


def open_source(path: str | Path) -> Source:
    """The checkpoint at a path: a directory with config.json and safetensors, or a GGUF file.

    Raises CheckpointError, one sentence naming file and tensor; UnsupportedCheckpoint, naming file and key.
    """
    path = Path(path)
    if path.is_dir():
        return open_directory(path)
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such checkpoint directory or file.")
    if not path.is_file():
        raise CheckpointError(f"{path} is no regular file, and a source is read in many places at once: save it first.")
    return open_gguf(path)


def open_directory(path: Path) -> Source:
    """The checkpoint in a directory, with every name, shape and dtype checked. Raises as open_source does."""
    config_text, hf = read_config(path / "config.json")
    with naming(path / "config.json"):
        config, warnings = config_from_hf(hf)
        quantization = check_quantization(hf)
    tensors, files = _read_shards(path, warnings)
    tensors = _select(path, tensors, config, warnings)
    _check_vectors(path, tensors, config)
    _check_linears(path, tensors, config, quantization)
    source = Source(
        path=path,
        name=path.resolve().name,
        config_text=config_text,
        config=config,
        files=files,
        tensors=tensors,
        texts=read_texts(path),
        ranks=read_ranks(path),
        warnings=warnings,
        scale_block=quantization.scale_block,
    )
    source.maps = {file: MappedFile(file) for file in sorted({t.file for t in tensors.values()})}
    return source


def read_config(path: Path) -> tuple[str, dict]:
    """(text, parsed) of a config.json. Raises CheckpointError when it is missing or no JSON."""
    text = _read_text(path)
    if text is None:
        raise CheckpointError(f"{path}: is missing; {instead(path.parent)}")
    return text, _parse_json(path, text)


def _read_shards(path: Path, warnings: list[str]) -> tuple[dict[str, SourceTensor], list[tuple[str, int, str]]]:
    """Every tensor by its full name, and (name, size, SHA-256 of the header) of the shards that the index names.

    Where several shards hold a tensor, the index says which one counts.
    """
    weight_map = _weight_map(path)
    shards = sorted(set(weight_map.values()))
    missing = [shard for shard in shards if not (path / shard).exists()]
    if missing:
        which = "this one is" if len(missing) == 1 else f"this one and {len(missing) - 1} others are"
        raise CheckpointError(
            f"{path / missing[0]}: the index names {len(shards)} shards, of which {which} missing; download the rest."
        )
    tensors, files = {}, []
    for shard in shards:
        file = path / shard
        header, size, digest = read_header(file)
        files.append((shard, size, digest))
        for name, t in header.items():
            if weight_map.get(name, shard) != shard:
                continue  # a stale copy
            if name in tensors:
                raise CheckpointError(
                    f"{file}: tensor {name} is also in {tensors[name].file.name}, and the index names neither; "
                    "download the index again."
                )
            tensors[name] = SourceTensor(name, t.dtype, t.shape, file, t.offset, t.nbytes)
    for name, shard in weight_map.items():
        if name and name not in tensors:
            raise CheckpointError(f"{path / shard}: tensor {name}, which the index places here, is missing.")
    unnamed = [file.name for file in _safetensors(path) if file.name not in shards]
    if unnamed and "" not in weight_map:
        warnings.append(f"Files that the index does not name are ignored: {listed(unnamed)}.")
    return tensors, files


def _safetensors(path: Path) -> list[Path]:
    """Those of a directory, but for hidden ones (macOS leaves ._model.safetensors beside a copy)."""
    return sorted(file for file in path.glob("*.safetensors") if not file.name.startswith("."))


def _weight_map(path: Path) -> dict[str, str]:
    """{tensor name: shard} of the index; {"": file} when one file is all there is."""
    index = path / INDEX
    text = _read_text(index)
    if text is None:
        found = _safetensors(path)
        if len(found) == 1:
            return {"": found[0].name}
        if found:
            raise CheckpointError(f"{index}: is missing, and there are {len(found)} safetensors files; download it.")
        raise CheckpointError(f"{path}: there is no safetensors file in this directory{other_weights(path)}")
    parsed = _parse_json(index, text)
    weight_map = parsed.get("weight_map") if isinstance(parsed, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: there is no weight_map in it; download it again.")
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or not SHARD.fullmatch(shard) or not shard.isprintable():
            raise CheckpointError(
                f"{index}: tensor {shown(name)} is said to be in {shown(shard)}, which is no shard's name."
            )
    return weight_map


def _select(
    path: Path, tensors: dict[str, SourceTensor], config: ModelConfig, warnings: list[str]
) -> dict[str, SourceTensor]:
    """The text model's tensors by their canonical names; what is left out is said in warnings.

    Raises CheckpointError for a tensor inside a layer that the configuration does not know.
    """
    known = {name for name, _ in vectors(config)} | {
        module + suffix for module, _, _ in linears(config) for suffix in LINEAR_SUFFIXES
    }
    kept, vision, later, unknown = {}, 0, 0, []
    for full, tensor in tensors.items():
        name = _canonical(full)
        if name in known:
            if name in kept:
                raise CheckpointError(f"{tensor.where} is there twice: {kept[name].name} is the same to this engine.")
            kept[name] = tensor
            continue
        layer = re.match(r"model\.layers\.(\d+)\.", name)
        if full.startswith(VISION_PREFIXES):
            vision += 1
        elif layer and int(layer[1]) >= config.num_hidden_layers:
            later += 1
        elif layer and not name.endswith(".self_attn.rotary_emb.inv_freq"):
            raise CheckpointError(f"{tensor.where} {stranger(full)}")
        elif not layer and not (config.tie_word_embeddings and name == "lm_head.weight"):
            unknown.append(full)
    if not kept:
        raise CheckpointError(no_language_model(path, tensors, vision))
    if vision:
        warnings.append(f"{vision} tensors of the vision tower are skipped: only the text model is converted.")
    if later:
        warnings.append(
            f"{later} tensors of layers from {config.num_hidden_layers} on (multi-token prediction) are skipped."
        )
    if unknown:
        warnings.append(f"Unknown tensors are ignored: {listed(sorted(unknown))}.")
    return kept


def _canonical(name: str) -> str:
    """A tensor's name as in a checkpoint that is of the text model alone."""
    if name.startswith(TEXT_MODEL_PREFIX):
        return "model." + name.removeprefix(TEXT_MODEL_PREFIX)
    return name.removeprefix(TEXT_PREFIX)


def _check_vectors(path: Path, tensors: dict[str, SourceTensor], config: ModelConfig) -> None:
    for name, length in vectors(config):
        _check(path, tensors, name, (length,), ("BF16", "F16", "F32"))


def _check_linears(
    path: Path, tensors: dict[str, SourceTensor], config: ModelConfig, quantization: Quantization
) -> None:
    for module, rows, cols in linears(config):
        if f"{module}.weight_packed" in tensors:
            if f"{module}.weight" in tensors:
                raise CheckpointError(f"{tensors[module + '.weight'].where} is there both packed and plain.")
            _check_int4(path, tensors, module, rows, cols, quantization.groups)
            continue
        weight = _check(path, tensors, f"{module}.weight", (rows, cols), FLOATS)
        if weight.dtype == "F8_E4M3":
            block = quantization.scale_block
            blocks = (-(-rows // block[0]), -(-cols // block[1]))
            _check(path, tensors, f"{module}.weight_scale_inv", blocks, ("F32", "BF16"))


def _check_int4(
    path: Path, tensors: dict[str, SourceTensor], module: str, rows: int, cols: int, groups: frozenset[int | None]
) -> None:
    """groups: see Quantization. What the shape, zero points and indices say is checked by Source.linear."""
    if cols % GROUP:
        where = tensors[f"{module}.weight_packed"].where
        raise CheckpointError(f"{where} has {cols} columns; INT4 needs a multiple of {GROUP}.")
    _check(path, tensors, f"{module}.weight_packed", (rows, cols // 8), ("I32",))
    counts = [1 if group is None else cols // group for group in groups if group is None or cols % group == 0]
    if not counts:
        where, size = tensors[f"{module}.weight_packed"].where, min(group for group in groups if group)
        raise CheckpointError(f"{where} has {cols} columns, no multiple of the group_size {size} in config.json.")
    scale = tensors.get(f"{module}.weight_scale")
    count = next((n for n in counts if scale is not None and scale.shape == (rows, n)), max(counts))
    _check(path, tensors, f"{module}.weight_scale", (rows, count), ("BF16", "F16", "F32"))
    _check(path, tensors, f"{module}.weight_shape", (2,), ("I32", "I64"))
    zero = tensors.get(f"{module}.weight_zero_point")
    if zero is not None:
        is_plain = zero.shape == (rows, count)
        shape, dtypes = ((rows, count), ("I8", "I32")) if is_plain else ((-(-rows // 8), count), ("I32",))
        _check(path, tensors, f"{module}.weight_zero_point", shape, dtypes)
    if f"{module}.weight_g_idx" in tensors:
        _check(path, tensors, f"{module}.weight_g_idx", (cols,), ("I32", "I64"))


def _check(
    path: Path, tensors: dict[str, SourceTensor], name: str, shape: tuple[int, ...], dtypes: tuple[str, ...]
) -> SourceTensor:
    """The tensor, if it is there in the expected shape and in one of the dtypes."""
    tensor = tensors.get(name)
    if tensor is None:
        raise CheckpointError(f"{path}: tensor {name} is missing; is a shard or the index incomplete?")
    if tensor.shape != shape:
        raise CheckpointError(f"{tensor.where} has the shape {list(tensor.shape)}, the configuration {list(shape)}.")
    if tensor.dtype not in dtypes:
        raise CheckpointError(f"{tensor.where} has the dtype {tensor.dtype}; {' or '.join(dtypes)} can be read here.")
    return tensor


def read_texts(path: Path) -> dict[str, str]:
    """Source.texts of a checkpoint directory."""
    texts = {}
    for key, candidates in TEXTS.items():
        found = [text for text in (_read_text(path / name) for name in candidates) if text is not None]
        if found:
            texts[key] = found[0]
    for key in ("generation_config", "tokenizer_config"):
        if key in texts:
            parsed = _parse_json(path / f"{key}.json", texts[key])
            template = parsed.get("chat_template") if isinstance(parsed, dict) else None
            if isinstance(template, str):  # as transformers: the file chat_template.jinja wins
                texts.setdefault("chat_template", template)
    return texts


def read_ranks(path: Path) -> bytes | None:
    """tiktoken.model of a checkpoint directory, verbatim; None when there is none."""
    file = path / "tiktoken.model"
    ranks = _read_bytes(file)
    if ranks is None:
        return None
    _check_head(file, ranks[:HEAD_BYTES], "tiktoken rank file")
    return ranks


def _read_text(path: Path) -> str | None:
    """The file's text; None when there is no such file."""
    data = _read_bytes(path)
    if data is None:
        return None
    _check_head(path, data[:HEAD_BYTES], "text of a checkpoint")
    try:
        return data.decode("utf-8-sig")
    except ValueError as error:
        raise CheckpointError(f"{path}: cannot be read as UTF-8 text ({error}).") from error


def _read_bytes(path: Path) -> bytes | None:
    """All of a file; None when there is none."""
    try:
        return read_regular(path, MAX_TEXT_BYTES)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise CheckpointError(f"{path}: is a link to a file that is not there; download it again.") from error
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); allow it, or download it again.") from error


def _check_head(path: Path, head: bytes, wanted: str) -> None:
    """CheckpointError, saying what the file is, when its first bytes are those of something else than text."""
    other = other_kind(head, wanted) if head else None
    if other is not None:
        raise CheckpointError(f"{path}: {other}")


def _parse_json(path: Path, text: str):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        head = text.lstrip()[:HEAD_BYTES]
        if head.startswith(("{", "[")) or not head.isascii():
            raise CheckpointError(f"{path}: is not valid JSON ({error}); download it again.") from error
        raise CheckpointError(f"{path}: {mistaken(head.encode(), 'valid JSON')}") from error
