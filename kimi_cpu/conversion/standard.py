"""The standard layout as a blueprint: a deepseek2 GGUF file that llama.cpp loads, with its names, keys and types.

Experts are Q4_0 with the checkpoint's codes bit for bit and their BF16 scales as F16; the few that F16 has to round are
counted and reported. Other matrices are Q8_0 or BF16, norms and router F32. The tokenizer becomes metadata arrays.
"""

import json
import math
import threading
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from ..config import ModelConfig
from ..errors import CheckpointError, ConfigError
from ..modelfile import TensorSpec
from ..quant import f32_to_bf16, rows16
from ..quant.rows16 import GROUP
from ..tokenizer import special_tokens_from_config
from ..tokenizer.vocabulary import byte_characters, read_ranks
from .blueprint import Blueprint, NewTensor, Origin, Part, Unit, whole
from .gguf_source import STACKED, gguf_name
from .native import check_tokenizer
from .source import SOURCE, FloatLinear, Int4Linear, Source, check_finite, naming
from .tensors import layer_linears, vectors

ARCHITECTURE = "deepseek2"
SIGMOID = 2  # llama.cpp: LLAMA_EXPERT_GATING_FUNC_TYPE_SIGMOID
CHUNK_VALUES = 1 << 20  # values packed at a time: bounds a worker's memory to 40 MiB, f32 and what becomes of it
DENSE_TYPES = {"q8_0": "Q8_0", "bf16": "BF16"}  # --dense: GGML type
BLOCK_BYTES = {"Q4_0": 18, "Q8_0": 34}  # ggml: 32 inputs
NORMAL, CONTROL = 1, 3  # llama.cpp: llama_token_type
NAMED_TOKENS = {"eot": "<|im_end|>", "padding": "[PAD]", "unknown": "[UNK]"}


def blueprint(source: Source, dense: str) -> Blueprint:
    """The standard file of a source. dense: "q8_0" or "bf16".

    Raises UnsupportedCheckpoint for what deepseek2 cannot express.
    """
    with naming(source.path):
        metadata = config_metadata(source.config)
    metadata |= {"general.name": source.name, SOURCE: source.provenance}
    if "license" in source.texts:
        metadata["general.license"] = source.texts["license"]
    builder = _Builder(source, DENSE_TYPES[dense])
    builder.build()
    return Blueprint(ARCHITECTURE, metadata | tokenizer_metadata(source), builder.tensors, source.warnings)


def config_metadata(c: ModelConfig) -> dict:
    """The deepseek2.* keys of a configuration. Raises ConfigError, by name, for a value that they cannot express."""
    for name, wanted in (("moe_layer_freq", 1), ("scoring_func", "sigmoid")):
        if getattr(c, name) != wanted:
            raise ConfigError(f"{name} is {getattr(c, name)!r}; a {ARCHITECTURE} file can only express {wanted!r}.")
    for name in ("q_lora_rank", "n_routed_experts", "n_shared_experts"):
        if not getattr(c, name):
            raise ConfigError(f"{name} is {getattr(c, name)}; llama.cpp's {ARCHITECTURE} cannot do without.")
    keys = {
        "block_count": c.num_hidden_layers,
        "context_length": c.max_position_embeddings,
        "embedding_length": c.hidden_size,
        "feed_forward_length": c.intermediate_size,
        "vocab_size": c.vocab_size,
        "attention.head_count": c.num_attention_heads,
        "attention.head_count_kv": 1,  # the latents are one head that all queries read
        "attention.layer_norm_rms_epsilon": c.rms_norm_eps,
        "attention.q_lora_rank": c.q_lora_rank,
        "attention.kv_lora_rank": c.kv_lora_rank,
        "attention.key_length": c.kv_lora_rank + c.qk_rope_head_dim,
        "attention.value_length": c.kv_lora_rank,
        "attention.key_length_mla": c.qk_head_dim,
        "attention.value_length_mla": c.v_head_dim,
        "rope.dimension_count": c.qk_rope_head_dim,
        "rope.freq_base": float(c.rope_theta),
        "leading_dense_block_count": c.first_k_dense_replace,
        "expert_count": c.n_routed_experts,
        "expert_used_count": c.num_experts_per_tok,
        "expert_shared_count": c.n_shared_experts,
        "expert_feed_forward_length": c.moe_intermediate_size,
        "expert_weights_scale": float(c.routed_scaling_factor),
        "expert_weights_norm": c.norm_topk_prob,
        "expert_gating_func": SIGMOID,
        "expert_group_count": c.n_group,
        "expert_group_used_count": c.topk_group,
    }
    return {f"{ARCHITECTURE}.{key}": value for key, value in (keys | _rope_scaling(c)).items()}


def _rope_scaling(c: ModelConfig) -> dict:
    s = c.rope_scaling
    if s is None:
        return {"rope.scaling.type": "none"}
    if s.mscale_all_dim == 0 or not math.isclose(s.mscale, s.mscale_all_dim):
        raise ConfigError(
            f"rope_scaling has mscale {s.mscale} and mscale_all_dim {s.mscale_all_dim}; a {ARCHITECTURE} file can only "
            "express equal ones above 0."
        )
    return {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": float(s.factor),
        "rope.scaling.original_context_length": s.original_max_position_embeddings,
        "rope.scaling.yarn_beta_fast": float(s.beta_fast),
        "rope.scaling.yarn_beta_slow": float(s.beta_slow),
        "rope.scaling.yarn_log_multiplier": 0.1 * s.mscale_all_dim,
    }


class _Builder:
    """Collects tensors in the order in which a token touches them."""

    def __init__(self, source: Source, dense: str):
        self.source, self.dense, self.config = source, dense, source.config
        self.tensors: list[NewTensor] = []
        self.scales = ScaleCount(source.warnings)

    def build(self) -> None:
        c = self.config
        self._matrix("token_embd.weight", "model.embed_tokens")
        lengths = list(vectors(c))
        for layer in range(c.num_hidden_layers):
            for name, length in lengths:
                if name.startswith(f"model.layers.{layer}."):
                    self._f32(gguf_name(name), name, (length,))
            for module, rows, cols in layer_linears(c, layer):
                self._layer_matrix(layer, module, rows, cols)
        self._f32("output_norm.weight", "model.norm.weight", (c.hidden_size,))
        # A deepseek2 file has no tied embeddings: the table is written twice.
        self._matrix("output.weight", "model.embed_tokens" if c.tie_word_embeddings else "lm_head")

    def _layer_matrix(self, layer: int, module: str, rows: int, cols: int) -> None:
        if module.endswith(".kv_b_proj"):
            self._heads(layer, module)
        elif module.endswith(".mlp.gate"):
            self._f32(gguf_name(f"{module}.weight"), f"{module}.weight", (rows, cols))
        elif ".mlp.experts." not in module:
            self._matrix(gguf_name(f"{module}.weight"), module)
        elif ".mlp.experts.0." in module:  # stands for all experts of the layer
            self._experts(f"blk.{layer}.", module, rows, cols)

    def _f32(self, name: str, tensor: str, shape: tuple[int, ...]) -> None:
        nbytes = 4 * math.prod(shape)
        part = Part(0, nbytes, partial(self._values, tensor))
        self.tensors.append(whole(TensorSpec(name, "F32", shape, nbytes), [part]))

    def _values(self, tensor: str) -> np.ndarray:
        values = np.ascontiguousarray(self.source.values(tensor))
        check_finite(self.source.where(tensor), np.count_nonzero(~np.isfinite(values)))
        return values.reshape(-1).view(np.uint8)

    def _matrix(self, name: str, module: str) -> None:
        dtype, rows, cols = self.source.describe(module)
        kind = "Q4_0" if dtype == "INT4" else self._dense(cols)
        nbytes = rows * row_bytes(kind, cols)
        self.tensors.append(whole(TensorSpec(name, kind, (rows, cols), nbytes), self._parts(module, kind, rows, cols)))

    def _experts(self, prefix: str, module: str, rows: int, cols: int) -> None:
        """One tensor [experts, rows, cols] of what gate, up or down projections of a layer are."""
        stem, part = module.rsplit(".0.", 1)
        name = prefix + next(gguf for gguf, hf in STACKED.items() if hf == part)
        kind = self._expert_type(module, cols)
        nbytes, units = rows * row_bytes(kind, cols), []
        for expert in range(self.config.n_routed_experts):
            this = f"{stem}.{expert}.{part}"
            if self._expert_type(this, cols) != kind:
                raise CheckpointError(f"{self.source.path}: {this} has another dtype than expert 0.")
            make_parts = partial(self._parts, this, kind, rows, cols)
            units.append(Unit(f"{name}, expert {expert}", expert * nbytes, nbytes, make_parts))
        spec = TensorSpec(name, kind, (len(units), rows, cols), len(units) * nbytes)
        self.tensors.append(NewTensor(spec, tuple(units)))

    def _expert_type(self, module: str, cols: int) -> str:
        """Q4_0 for INT4, and for FP8, which has no exact standard type; other floats as --dense says."""
        return "Q4_0" if self.source.describe(module)[0] in ("INT4", "F8_E4M3") else self._dense(cols)

    def _dense(self, cols: int) -> str:
        return "BF16" if cols % GROUP else self.dense

    def _heads(self, layer: int, module: str) -> None:
        """kv_b_proj as k_b [heads, latents, nope], transposed, and v_b [heads, value, latents]."""
        c = self.config
        heads, nope, value, latents = c.num_attention_heads, c.qk_nope_head_dim, c.v_head_dim, c.kv_lora_rank
        for name, shape, keys in (
            ("attn_k_b", (heads, latents, nope), True),
            ("attn_v_b", (heads, value, latents), False),
        ):
            kind = self._dense(shape[2])
            one = shape[1] * row_bytes(kind, shape[2])  # bytes of a head
            parts = [
                Part(start * one, (stop - start) * one, partial(self._pack_heads, module, kind, start, stop, keys))
                for start, stop in _chunks(heads, (nope + value) * latents)
            ]
            spec = TensorSpec(f"blk.{layer}.{name}.weight", kind, shape, heads * one)
            self.tensors.append(whole(spec, parts))

    def _parts(self, module: str, kind: str, rows: int, cols: int) -> Iterator[Part]:
        one = row_bytes(kind, cols)
        for start, stop in _chunks(rows, cols):
            origin = Origin(kind, module, range(start, stop))
            yield Part(start * one, (stop - start) * one, partial(self._pack, module, kind, start, stop), origin)

    def _pack(self, module: str, kind: str, start: int, stop: int) -> np.ndarray:
        """u8[n] of rows start..stop of a matrix in a GGML type."""
        linear = self.source.linear(module)
        if kind == "Q4_0":
            return self._pack_q4_0(linear, start, stop)
        return _pack_dense(linear.where, _rows(linear, start, stop), kind)

    def _pack_heads(self, module: str, kind: str, start: int, stop: int, keys: bool) -> np.ndarray:
        """u8[n] of heads start..stop of kv_b_proj: of their keys, transposed, or of their values."""
        linear, c = self.source.linear(module), self.config
        width = c.qk_nope_head_dim + c.v_head_dim
        heads = _rows(linear, start * width, stop * width).reshape(stop - start, width, -1)
        chosen = heads[:, : c.qk_nope_head_dim].transpose(0, 2, 1) if keys else heads[:, c.qk_nope_head_dim :]
        return _pack_dense(linear.where, np.ascontiguousarray(chosen).reshape(-1, chosen.shape[2]), kind)

    def _pack_q4_0(self, linear: Int4Linear | FloatLinear, start: int, stop: int) -> np.ndarray:
        from ..kernels import pack

        if isinstance(linear, Int4Linear):
            packed, scales = linear.packed[start:stop], linear.scales[start:stop]
        else:
            x = linear.read(start, stop)
            check_finite(linear.where, np.count_nonzero(~np.isfinite(x)))
            nibbles, scales = rows16.quantize_int4(x)
            packed = (nibbles[:, 0::2] | nibbles[:, 1::2] << np.uint8(4)).view(np.int32)
        data, rounded, impossible = pack.pack_q4_0(packed, scales)
        if impossible:
            raise CheckpointError(f"{linear.where} has {impossible} scales beyond float16; use --layout native.")
        self.scales.add(rounded)
        return data


def _rows(linear: Int4Linear | FloatLinear, start: int, stop: int) -> np.ndarray:
    """Some rows: bf16 bits u16[n, C] where the source holds them, else f32[n, C]."""
    if isinstance(linear, FloatLinear) and linear.bits is not None:
        return linear.bits[start:stop]
    return linear.read(start, stop)


def _pack_dense(where: str, x: np.ndarray, kind: str) -> np.ndarray:
    """u8[n] of bf16 bits u16[n, C] or f32[n, C] as Q8_0 or BF16."""
    from ..kernels import pack

    is_bits = x.dtype == np.uint16
    if kind == "Q8_0":
        data, bad = pack.pack_q8_0(x) if is_bits else pack.pack_q8_0_f32(x)
    else:
        bits = x if is_bits else f32_to_bf16(x)
        data, bad = np.ascontiguousarray(bits).reshape(-1).view(np.uint8), np.count_nonzero((bits & 0x7F80) == 0x7F80)
    check_finite(where, bad)
    return data


class ScaleCount:
    """Counts scales that F16 has to round, over threads, in one warning that grows."""

    def __init__(self, warnings: list[str]):
        self._warnings, self._lock, self._index, self._count = warnings, threading.Lock(), None, 0

    def add(self, count: int) -> None:
        """Notes some more."""
        if not count:
            return
        with self._lock:
            if self._index is None:
                self._index = len(self._warnings)
                self._warnings.append("")
            self._count += count
            self._warnings[self._index] = f"{self._count:,} scales of INT4 groups had to be rounded to float16."


def row_bytes(kind: str, cols: int) -> int:
    """Bytes of one row."""
    return 2 * cols if kind == "BF16" else cols // GROUP * BLOCK_BYTES[kind]


def _chunks(rows: int, cols: int) -> Iterable[tuple[int, int]]:
    step = max(1, CHUNK_VALUES // cols)
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def tokenizer_metadata(source: Source) -> dict:
    """{key: value} of the vocabulary; tokenizer.ggml.model "none" and a warning when the checkpoint has none.

    Raises CheckpointError when the tokenizer cannot be used, or has another size than vocab_size.
    """
    config = source.config
    metadata = {}
    if config.bos_token_id is not None:
        metadata["tokenizer.ggml.bos_token_id"] = config.bos_token_id
    if config.eos_token_ids:
        metadata["tokenizer.ggml.eos_token_id"] = config.eos_token_ids[0]
    if "chat_template" in source.texts:
        metadata["tokenizer.chat_template"] = source.texts["chat_template"]
    if source.ranks is None:
        source.warnings.append(
            f"{source.path} has no tokenizer (tiktoken.model): the file will take token ids, not text."
        )
        return metadata | {"tokenizer.ggml.model": "none"}
    check_tokenizer(source)
    base = read_ranks(source.ranks)
    text = source.texts.get("tokenizer_config")
    special = special_tokens_from_config(None if text is None else json.loads(text), len(base))
    tokens = byte_characters(base) + sorted(special, key=special.__getitem__)
    if len(tokens) != config.vocab_size:
        raise CheckpointError(
            f"{source.path}: the tokenizer has {len(tokens):,} tokens, but vocab_size is {config.vocab_size:,}; "
            "llama.cpp needs them equal."
        )
    return metadata | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "kimi-k2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [NORMAL] * len(base) + [CONTROL] * len(special),
        "tokenizer.ggml.merges": merges(base),
        "tokenizer.ggml.add_bos_token": False,
        **{f"tokenizer.ggml.{key}_token_id": special[name] for key, name in NAMED_TOKENS.items() if name in special},
    }


def merges(tokens: list[bytes]) -> list[str]:
    """The pairs "left right" that make the tokens, in order of rank, in byte characters.

    A pair is what byte pair encoding with only the lower ranks leaves of a token (llama.cpp, QwenModel.bpe).
    """
    ranks = {token: rank for rank, token in enumerate(tokens)}
    pairs = []
    for rank, token in enumerate(tokens):
        if len(token) > 1:
            parts = _encode(token, ranks, rank)
            if len(parts) == 2:
                pairs.extend(parts)
    characters = byte_characters(pairs) if pairs else []
    return [f"{left} {right}" for left, right in zip(characters[0::2], characters[1::2], strict=True)]


def _encode(text: bytes, ranks: dict[bytes, int], limit: int) -> list[bytes]:
    """The parts that byte pair encoding with the ranks below the limit leaves."""
    parts = [text[i : i + 1] for i in range(len(text))]
    while len(parts) > 1:
        candidates = [ranks.get(a + b, limit) for a, b in zip(parts, parts[1:], strict=False)]
        best = min(candidates)
        if best >= limit:
            break
        at = candidates.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts
