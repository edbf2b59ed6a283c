"""A deepseek2 GGUF file, whole or split, under the names of the Hugging Face checkpoint that it came from."""

import json
import re
from base64 import b64encode
from pathlib import Path

from ..config import ModelConfig, config_from_gguf, config_to_hf, listed
from ..errors import CheckpointError, TokenizerError, shown
from ..modelfile.header import GGUFHeader, read_gguf
from ..tokenizer.vocabulary import characters_to_bytes
from .source import Source, SourceTensor, naming
from .source_files import MappedFile
from .tensors import can_decode, linears, vectors

GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER = {  # after blk.N. -> after model.layers.N.
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_q_a.weight": "self_attn.q_a_proj.weight",
    "attn_q_a_norm.weight": "self_attn.q_a_layernorm.weight",
    "attn_q_b.weight": "self_attn.q_b_proj.weight",
    "attn_kv_a_mqa.weight": "self_attn.kv_a_proj_with_mqa.weight",
    "attn_kv_a_norm.weight": "self_attn.kv_a_layernorm.weight",
    "attn_kv_b.weight": "self_attn.kv_b_proj.weight",
    "attn_k_b.weight": "self_attn.kv_b_proj.k_b",
    "attn_v_b.weight": "self_attn.kv_b_proj.v_b",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
    "ffn_gate_inp.weight": "mlp.gate.weight",
    "exp_probs_b.bias": "mlp.gate.e_score_correction_bias",  # gguf_name's choice of the three spellings in use
    "exp_probs_b.weight": "mlp.gate.e_score_correction_bias",
    "exp_probs_b": "mlp.gate.e_score_correction_bias",
    "ffn_gate_shexp.weight": "mlp.shared_experts.gate_proj.weight",
    "ffn_up_shexp.weight": "mlp.shared_experts.up_proj.weight",
    "ffn_down_shexp.weight": "mlp.shared_experts.down_proj.weight",
}
STACKED = {"ffn_gate_exps.weight": "gate_proj", "ffn_up_exps.weight": "up_proj", "ffn_down_exps.weight": "down_proj"}
FUSED = "ffn_gate_up_exps.weight"  # with convert_hf_to_gguf.py --fuse-gate-up-exps: an expert's gate rows, then up's
UNUSED = ("rope_freqs.weight", "attn_rot_embd.weight")  # of a layer, in files of old converters: rotation is computed
SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
NORMAL = 1  # llama.cpp: LLAMA_TOKEN_TYPE_NORMAL
Vocabulary = tuple[list[str], list[int]]  # tokens, and the type of each


def open_gguf(path: Path) -> Source:
    """The checkpoint in a deepseek2 GGUF file, or in all files of a split. Raises as open_source does."""
    headers = read_parts(path)
    first = next(iter(headers.values()))
    if first.metadata.get("general.architecture") == "kimi-cpu":
        raise CheckpointError(f"{path}: this is a native file of kimi-cpu already; run it with -m.")
    tied = not any("output.weight" in header.tensors for header in headers.values())
    with naming(path):
        config, warnings = config_from_gguf(first.metadata, tied)
    tensors = _select(headers, config, warnings)
    _check(path, tensors, config)
    vocabulary = _vocabulary(path, first.metadata)
    source = Source(
        path=path,
        name=str(first.metadata.get("general.name") or path.stem),
        config_text=json.dumps(config_to_hf(config), indent=1),
        config=config,
        files=[(file.name, header.size, header.sha256) for file, header in headers.items()],
        tensors=tensors,
        texts=_texts(first.metadata, config, vocabulary),
        ranks=_ranks(path, first.metadata, vocabulary, warnings),
        warnings=warnings,
    )
    source.maps = {file: MappedFile(file) for file in headers}
    return source


def read_parts(path: Path) -> dict[Path, GGUFHeader]:
    """{file: header} of a GGUF file and of the others of its split, the first one first."""
    split = SPLIT.fullmatch(path.name)
    if split is None or not 1 <= int(split[2]) <= int(split[3]):
        header = read_gguf(path)
        count, number = _whole(path, header, "split.count", 1), _whole(path, header, "split.no", 0)
        if count > 1:
            name = f"NAME-{number + 1:05d}-of-{count:05d}.gguf"
            raise CheckpointError(f"{path}: is part {number + 1} of {count} but was renamed; call it {name} again.")
        return {path: header}
    count = int(split[3])
    files = [path.with_name(f"{split[1]}-{number:05d}-of-{split[3]}.gguf") for number in range(1, count + 1)]
    missing = [number for number, file in enumerate(files, 1) if not file.exists()]
    if missing:
        numbers = ", ".join(map(str, missing[:8])) + ", …" * (len(missing) > 8)
        what = f"part {numbers} of {count} is" if len(missing) == 1 else f"parts {numbers} of {count} are"
        raise CheckpointError(f"{files[missing[0] - 1]}: {what} missing; download the rest of the split.")
    headers = {file: read_gguf(file) for file in files}
    for number, (file, header) in enumerate(headers.items()):
        said = _whole(file, header, "split.no", number), _whole(file, header, "split.count", count)
        if said != (number, count):
            raise CheckpointError(
                f"{file}: says that it is part {said[0] + 1} of {said[1]}, but its name says {number + 1} of {count}; "
                "give the parts their own names back."
            )
    found = sum(len(header.tensors) for header in headers.values())
    total = _whole(files[0], headers[files[0]], "split.tensors.count", found)
    if total != found:
        raise CheckpointError(f"{path}: the {count} parts hold {found} tensors, not {total}; one is another model's.")
    return headers


def _whole(path: Path, header: GGUFHeader, key: str, default: int) -> int:
    """A whole number of the metadata. CheckpointError: it is something else."""
    value = header.metadata.get(key, default)
    if type(value) is not int or value < 0:
        raise CheckpointError(f"{path}: metadata {key} is {shown(value)}; it is corrupt, so download it again.")
    return value


def _select(headers: dict[Path, GGUFHeader], config: ModelConfig, warnings: list[str]) -> dict[str, SourceTensor]:
    """Tensors by the checkpoint's names, stacked experts taken apart.

    Raises CheckpointError for a tensor inside a layer that the architecture does not have.
    """
    kept, unknown = {}, []
    for file, header in headers.items():
        for name, t in header.tensors.items():
            layer = re.fullmatch(r"blk\.(\d+)\.(.+)", name)
            tensor = SourceTensor(name, t.dtype, t.shape, file, t.offset, t.nbytes)
            if name in GLOBAL:
                new = {GLOBAL[name]: tensor}
            elif layer and layer[2] in LAYER:
                new = {f"model.layers.{layer[1]}.{LAYER[layer[2]]}": tensor}
            elif layer and layer[2] in STACKED:
                new = _experts(tensor, f"model.layers.{layer[1]}.mlp.experts", (STACKED[layer[2]],), config)
            elif layer and layer[2] == FUSED:
                new = _experts(tensor, f"model.layers.{layer[1]}.mlp.experts", ("gate_proj", "up_proj"), config)
            elif layer and layer[2] not in UNUSED:
                raise CheckpointError(
                    f"{tensor.where} is none that a layer of this architecture has; "
                    "convert the Hugging Face checkpoint itself."
                )
            else:
                unknown.append(name)
                continue
            twice = next((new_name for new_name in new if new_name in kept), None)
            if twice is not None:
                before = kept[twice]
                raise CheckpointError(
                    f"{tensor.where} holds the same as tensor {before.name} in {before.file.name}; download it again."
                )
            kept |= new
    if unknown:
        warnings.append(f"Unknown tensors are ignored: {listed(sorted(unknown))}.")
    return kept


def _experts(tensor: SourceTensor, prefix: str, parts: tuple[str, ...], config: ModelConfig) -> dict[str, SourceTensor]:
    """{name: slice} of a stacked tensor [experts, rows, cols], in which an expert's parts follow one another."""
    shape = tensor.shape
    if len(shape) != 3 or shape[0] != config.n_routed_experts or shape[1] % len(parts):
        raise CheckpointError(
            f"{tensor.where} has the shape {list(shape)}, the metadata {config.n_routed_experts} experts."
        )
    rows, nbytes = shape[1] // len(parts), tensor.nbytes // shape[0] // len(parts)
    return {
        f"{prefix}.{e}.{part}.weight": tensor._replace(
            shape=(rows, shape[2]), offset=tensor.offset + (e * len(parts) + i) * nbytes, nbytes=nbytes
        )
        for e in range(shape[0])
        for i, part in enumerate(parts)
    }


def _check(path: Path, tensors: dict[str, SourceTensor], config: ModelConfig) -> None:
    """Raise CheckpointError for a tensor that is missing, mis-shaped or of a type that cannot be decoded."""
    for name, length in vectors(config):
        _check_one(path, tensors, name, (length,))
    for module, rows, cols in linears(config):
        parts = (f"{module}.k_b", f"{module}.v_b")
        if f"{module}.weight" in tensors or not tensors.keys() >= set(parts):
            _check_one(path, tensors, f"{module}.weight", (rows, cols))
            continue
        c = config
        _check_one(path, tensors, parts[0], (c.num_attention_heads, c.kv_lora_rank, c.qk_nope_head_dim))
        _check_one(path, tensors, parts[1], (c.num_attention_heads, c.v_head_dim, c.kv_lora_rank))


def _check_one(path: Path, tensors: dict[str, SourceTensor], name: str, shape: tuple[int, ...]) -> None:
    tensor = tensors.get(name)
    if tensor is None:
        raise CheckpointError(f"{path}: tensor {gguf_name(name)} is missing; is the file complete?")
    if tensor.shape != shape:
        raise CheckpointError(f"{tensor.where} has the shape {list(tensor.shape)}, the metadata says {list(shape)}.")
    if not can_decode(tensor.dtype):
        raise CheckpointError(
            f"{tensor.where} has the type {tensor.dtype}, which cannot be read; take a file with other types, such as "
            "Q8_0 or Q4_K, or the Hugging Face checkpoint."
        )


def gguf_name(name: str) -> str:
    """The GGUF name of a checkpoint's tensor."""
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name)
    if layer is None:
        return next(gguf for gguf, hf in GLOBAL.items() if hf == name)
    expert = re.fullmatch(r"mlp\.experts\.\d+\.(\w+)\.weight", layer[2])
    table, last = (STACKED, expert[1]) if expert else (LAYER, layer[2])
    return f"blk.{layer[1]}.{next(gguf for gguf, hf in table.items() if hf == last)}"


def _texts(metadata: dict, config: ModelConfig, vocabulary: Vocabulary | None) -> dict[str, str]:
    texts = {"generation_config": json.dumps({"eos_token_id": list(config.eos_token_ids)})}
    for key, name in (("tokenizer.chat_template", "chat_template"), ("general.license", "license")):
        if isinstance(metadata.get(key), str):
            texts[name] = metadata[key]
    if vocabulary is not None:
        tokens, types = vocabulary
        added = {str(i): {"content": tokens[i]} for i, kind in enumerate(types) if kind != NORMAL}
        texts["tokenizer_config"] = json.dumps({"added_tokens_decoder": added}, ensure_ascii=False)
    return texts


def _vocabulary(path: Path, metadata: dict) -> Vocabulary | None:
    """Tokens and their types; None when there are none. CheckpointError: they are something else."""
    tokens, types = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.token_type")
    if not tokens or not types:
        return None
    for key, values, kind in (("tokens", tokens, str), ("token_type", types, int)):
        if not isinstance(values, list) or not all(type(value) is kind for value in values):
            raise CheckpointError(f"{path}: metadata tokenizer.ggml.{key} is corrupt; download the file again.")
    if len(tokens) != len(types):
        raise CheckpointError(
            f"{path}: tokenizer.ggml.tokens has {len(tokens):,} entries and tokenizer.ggml.token_type {len(types):,}; "
            "download the file again."
        )
    return tokens, types


def _ranks(path: Path, metadata: dict, vocabulary: Vocabulary | None, warnings: list[str]) -> bytes | None:
    """The text of tiktoken.model: a NORMAL token's id is its rank. None, with a warning, for another tokenizer."""
    if vocabulary is None:
        return None
    if metadata.get("tokenizer.ggml.pre") != "kimi-k2":
        warnings.append(f"The tokenizer {shown(metadata.get('tokenizer.ggml.pre'))} is not Kimi's and is left out.")
        return None
    tokens, types = vocabulary
    num_base = next((i for i, kind in enumerate(types) if kind != NORMAL), len(types))
    try:
        lines = [b"%s %d\n" % (b64encode(characters_to_bytes(token)), i) for i, token in enumerate(tokens[:num_base])]
    except TokenizerError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return b"".join(lines)
