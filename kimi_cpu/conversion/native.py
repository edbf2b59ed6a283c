"""The native layout as a blueprint: names, packed kinds and order of the tensors (docs/format.md)."""

import json
import math
import threading
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from ..config import ModelConfig
from ..errors import CheckpointError, TokenizerError
from ..kernels import pack
from ..modelfile import TensorSpec
from ..modelfile.layout import ALIGNMENT, ARCHITECTURE, EXPERTS_SUFFIX, PARTS, VERSION
from ..quant import f32_to_bf16
from ..quant.rows16 import GROUP, ROWS, packed_bytes, pad
from .blueprint import Blueprint, NewTensor, Origin, Part, Unit, constant, whole
from .source import SOURCE, FloatLinear, Int4Linear, Source, check_finite

CHUNK_VALUES = 2 << 20  # values packed at a time: what is packed is hashed and written while it is in the cache
DENSE_KINDS = {"q8_0": "q8", "bf16": "bf16"}  # --dense: packed kind


def blueprint(source: Source, dense: str) -> Blueprint:
    """The native file of a source. dense: "q8_0" or "bf16"."""
    builder = _Builder(source, DENSE_KINDS[dense])
    builder.build()
    return Blueprint(ARCHITECTURE, builder.metadata(), builder.tensors, source.warnings)


class _Builder:
    """Collects tensors in the order in which a token touches them."""

    def __init__(self, source: Source, dense: str):
        self.source, self.dense, self.config = source, dense, source.config
        self.tensors: list[NewTensor] = []
        self.packed: dict[str, dict] = {}  # kimi-cpu.tensors

    def build(self) -> None:
        c = self.config
        self._tokenizer()
        self._matrix("token_embd", "model.embed_tokens")
        for layer in range(c.num_hidden_layers):
            self._layer(layer, f"blk.{layer}.", f"model.layers.{layer}.")
        self._vector("output_norm.weight", "model.norm.weight")
        if not c.tie_word_embeddings:
            self._matrix("output", "lm_head")

    def metadata(self) -> dict:
        s, c = self.source, self.config
        texts = {
            "kimi-cpu.generation_config": s.texts.get("generation_config"),
            "kimi-cpu.tokenizer_config": s.texts.get("tokenizer_config"),
            "tokenizer.chat_template": s.texts.get("chat_template"),
            "kimi-cpu.license": s.texts.get("license"),
        }
        return {
            "general.name": s.name,
            "kimi-cpu.version": VERSION,
            "kimi-cpu.config": s.config_text,
            **{key: text for key, text in texts.items() if text},
            SOURCE: s.provenance,
            "kimi-cpu.tensors": json.dumps(self.packed),
            **self._viewer_keys(c),
        }

    def _viewer_keys(self, c: ModelConfig) -> dict:
        """The usual keys, for programs that show files; kimi-cpu.config is the truth."""
        p = ARCHITECTURE + "."
        return {
            p + "block_count": c.num_hidden_layers,
            p + "context_length": c.max_position_embeddings,
            p + "embedding_length": c.hidden_size,
            p + "feed_forward_length": c.intermediate_size,
            p + "attention.head_count": c.num_attention_heads,
            p + "attention.q_lora_rank": c.q_lora_rank or 0,
            p + "attention.kv_lora_rank": c.kv_lora_rank,
            p + "vocab_size": c.vocab_size,
            p + "expert_count": c.n_routed_experts,
            p + "expert_used_count": c.num_experts_per_tok,
            p + "expert_shared_count": c.n_shared_experts,
            p + "expert_feed_forward_length": c.moe_intermediate_size,
        } | self._expert_keys()

    def _expert_keys(self) -> dict:
        for name, described in self.packed.items():
            if name.endswith(EXPERTS_SUFFIX):
                parts = described["parts"]
                return {
                    "kimi-cpu.expert.offsets": [parts[k]["offset"] for k in PARTS],
                    "kimi-cpu.expert.stride": described["stride"],
                }
        return {}

    def _tokenizer(self) -> None:
        if self.source.ranks is None:
            self.source.warnings.append(
                f"{self.source.path} has no tokenizer (tiktoken.model): the file will take token ids, not text."
            )
            return
        self.tensors.append(constant("tokenizer.model", check_tokenizer(self.source)))
        self.tensors.append(constant("tokenizer.ranks", self.source.ranks))

    def _layer(self, layer: int, p: str, s: str) -> None:
        a = s + "self_attn."
        self._vector(p + "attn_norm.weight", s + "input_layernorm.weight")
        if self.config.q_lora_rank:
            self._matrix(p + "attn_q_a", a + "q_a_proj")
        self._matrix(p + "attn_kv_a_mqa", a + "kv_a_proj_with_mqa")
        if self.config.q_lora_rank:
            self._vector(p + "attn_q_a_norm.weight", a + "q_a_layernorm.weight")
        self._vector(p + "attn_kv_a_norm.weight", a + "kv_a_layernorm.weight")
        if self.config.q_lora_rank:
            self._matrix(p + "attn_q_b", a + "q_b_proj")
        else:
            self._matrix(p + "attn_q", a + "q_proj")
        nope, value = self.config.qk_nope_head_dim, self.config.v_head_dim
        self._heads(p + "attn_k_b", a + "kv_b_proj", 0, nope)
        self._heads(p + "attn_v_b", a + "kv_b_proj", nope, nope + value)
        self._matrix(p + "attn_output", a + "o_proj")
        self._vector(p + "ffn_norm.weight", s + "post_attention_layernorm.weight")
        if self.config.is_moe_layer(layer):
            self._moe(p, s + "mlp.")
        else:
            self._mlp(p, s + "mlp.", "")

    def _mlp(self, p: str, s: str, suffix: str) -> None:
        for part in PARTS:
            self._matrix(f"{p}ffn_{part}{suffix}", f"{s}{part}_proj")

    def _moe(self, p: str, s: str) -> None:
        self._vector(p + "ffn_gate_inp.weight", s + "gate.weight")
        self._vector(p + "exp_probs_b.bias", s + "gate.e_score_correction_bias")
        if self.config.n_shared_experts:
            self._mlp(p, s + "shared_experts.", "_shexp")
        self._experts(p + "ffn_exps.weight", s + "experts.")

    def _experts(self, name: str, s: str) -> None:
        """One I8 tensor [experts, stride]; gate, up, down of an expert follow one another."""
        count, parts, at = self.config.n_routed_experts, {}, 0
        for part in PARTS:
            dtype, rows, cols = self.source.describe(f"{s}0.{part}_proj")
            kind = _expert_kind(dtype, self.dense)
            parts[part] = {"kind": kind, "rows": rows, "cols": cols, "offset": at}
            at += packed_bytes(kind, rows, cols)
        stride = pad(at, ALIGNMENT)
        self.packed[name] = {"parts": parts, "stride": stride}
        units = []
        for e in range(count):
            modules = [
                (f"{s}{e}.{part}_proj", described["kind"], described["offset"]) for part, described in parts.items()
            ]
            for module, kind, _ in modules:
                dtype, _, cols = self.source.describe(module)
                if _expert_kind(dtype, self.dense) != kind:
                    raise CheckpointError(f"{self.source.path}: {module} has another dtype than expert 0.")
                self._check_columns(module, kind, cols)
            units.append(Unit(f"{name}, expert {e}", e * stride, stride, partial(self._expert_parts, modules)))
        self.tensors.append(NewTensor(TensorSpec(name, "I8", (count, stride), count * stride), tuple(units)))

    def _check_columns(self, module: str, kind: str, cols: int) -> None:
        if kind == "int4" and cols % GROUP:
            raise CheckpointError(f"{self.source.path}: {module} has {cols} columns; INT4 needs a multiple of {GROUP}.")

    def _expert_parts(self, modules: list[tuple[str, str, int]]) -> Iterator[Part]:
        for module, kind, offset in modules:
            yield from _parts(self.source, module, kind, offset)

    def _matrix(self, stem: str, module: str) -> None:
        dtype, rows, cols = self.source.describe(module)
        kind = "int4" if dtype == "INT4" else self.dense
        self._check_columns(module, kind, cols)
        self._packed_tensor(stem, kind, rows, cols, _parts(self.source, module, kind, 0))

    def _heads(self, stem: str, module: str, begin: int, end: int) -> None:
        """Rows [begin, end) of every head of kv_b_proj; the rows of a head are padded to whole blocks."""
        c, cols = self.config, self.source.describe(module)[2]
        heads, width = c.num_attention_heads, c.qk_nope_head_dim + c.v_head_dim
        order = np.full((heads, pad(end - begin, ROWS)), -1, np.int64)
        order[:, : end - begin] = np.arange(heads)[:, None] * width + np.arange(begin, end)
        parts = _parts(self.source, module, self.dense, 0, order.reshape(-1))
        self._packed_tensor(stem, self.dense, order.size, cols, parts)

    def _packed_tensor(self, stem: str, kind: str, rows: int, cols: int, parts: Iterable[Part]) -> None:
        name = stem + ".weight"
        nbytes = packed_bytes(kind, rows, cols)
        self.packed[name] = {"kind": kind, "rows": rows, "cols": cols}
        self.tensors.append(whole(TensorSpec(name, "I8", (nbytes,), nbytes), parts))

    def _vector(self, name: str, tensor: str) -> None:
        known = self.source.tensors.get(tensor)  # not the router, where it is packed
        shape = tuple(known.shape) if known else self.source.describe(tensor.removesuffix(".weight"))[1:]
        nbytes = 4 * int(np.prod(shape))
        part = Part(0, nbytes, partial(_f32_bytes, self.source, tensor), tensor)
        self.tensors.append(whole(TensorSpec(name, "F32", shape, nbytes), [part]))


def check_tokenizer(source: Source) -> bytes:
    """The source's tokenizer, compiled. CheckpointError unless a model with it can be asked: loading asks the same."""
    from ..tokenizer import Tokenizer, check_ends, compile_sentencepiece

    assert source.ranks is not None
    try:
        text = source.texts.get("tokenizer_config")
        compiled = compile_sentencepiece(source.ranks)
        check_ends(Tokenizer(source.ranks, compiled, None if text is None else json.loads(text)), source.path)
        return compiled
    except TokenizerError as error:
        file = source.path / "tiktoken.model" if source.path.is_dir() else source.path
        message = str(error).replace("The rank file", str(file))
        raise CheckpointError(message if str(source.path) in message else f"{source.path}: {message}") from error


def _expert_kind(dtype: str, dense: str) -> str:
    """INT4 stays; FP8 experts become INT4; plain floats keep the precision that --dense asks for."""
    return "int4" if dtype in ("INT4", "F8_E4M3") else dense


def _parts(source: Source, module: str, kind: str, offset: int, order: np.ndarray | None = None) -> Iterator[Part]:
    """A matrix in pieces of whole row blocks. order: the source row of each row, -1 for a row of zeros."""
    _, rows, cols = source.describe(module)
    rows = rows if order is None else len(order)
    step = _rows_at_a_time(kind, cols)
    for begin in range(0, rows, step):
        chosen = range(begin, min(begin + step, rows)) if order is None else order[begin : begin + step]
        nbytes = packed_bytes(kind, len(chosen), cols)
        yield Part(offset, nbytes, partial(_pack, source, module, kind, chosen), Origin(kind, module, chosen))
        offset += nbytes


def _rows_at_a_time(kind: str, cols: int) -> int:
    """Rows of a part, so many that parts end at pages if that is possible."""
    blocks = max(1, CHUNK_VALUES // cols // ROWS)
    whole = ALIGNMENT // math.gcd(ALIGNMENT, packed_bytes(kind, ROWS, cols))  # row blocks that fill pages
    return (blocks // whole * whole or blocks) * ROWS


def _pack(source: Source, module: str, kind: str, order: np.ndarray | range) -> np.ndarray:
    """Packed bytes u8 of some rows of a matrix. CheckpointError: values that are NaN or infinite."""
    order = np.asarray(order)  # a range until now: arrays of all rows of a large checkpoint would fill 2 GB
    linear = linear_of(source, module)
    used = order[order >= 0]
    start, stop = int(used.min(initial=linear.rows - 1)), int(used.max(initial=0)) + 1
    if isinstance(linear, Int4Linear) and kind == "int4":
        data, bad = pack.pack_int4(linear.packed[start:stop], linear.scales[start:stop])
    elif isinstance(linear, FloatLinear) and linear.bits is not None and kind != "int4":
        bits = place(linear.bits[start:stop], order, start)
        data, bad = (pack.pack_q8 if kind == "q8" else pack.pack_bf16)(bits)
    else:
        values = place(linear.read(start, stop), order, start)
        data, bad = _PACK_F32[kind](values)
    check_finite(linear.where, bad)
    return data


def _pack_bf16_f32(values: np.ndarray) -> tuple[np.ndarray, int]:
    return pack.pack_bf16(f32_to_bf16(values))


_PACK_F32 = {"int4": pack.pack_int4_f32, "q8": pack.pack_q8_f32, "bf16": _pack_bf16_f32}


def place(block: np.ndarray, order: np.ndarray, start: int) -> np.ndarray:
    """Rows of a block that begins at row `start`, in an order; -1 is a row of zeros."""
    if len(block) == len(order) and order[0] == start:
        return block
    out = np.zeros((len(order), block.shape[1]), block.dtype)
    out[order >= 0] = block[order[order >= 0] - start]
    return out


def _f32_bytes(source: Source, tensor: str) -> np.ndarray:
    values = np.ascontiguousarray(source.values(tensor), np.float32)
    if not np.isfinite(values).all():
        raise CheckpointError(f"{source.where(tensor)} has values that are NaN or infinite; download the file again.")
    return values.reshape(-1).view(np.uint8)


_last = threading.local()  # of each worker


def linear_of(source: Source, module: str) -> Int4Linear | FloatLinear:
    """source.linear, which checks a matrix's scales, once for all parts of a matrix that a thread packs in a row."""
    last = getattr(_last, "matrix", None)
    if last is None or last[0] is not source or last[1] != module:
        last = _last.matrix = source, module, source.linear(module)
    return last[2]
