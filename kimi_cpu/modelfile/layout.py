"""The layout of a native file, on which reader and writer agree: what it holds, by its configuration, and its hashes.

The converter writes this table of tensors, a file must fit it to be opened, and the kernels, which index blindly, rely
on it. Kernels run every matrix by its own packed kind, so a file may mix kinds.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..config import ModelConfig
from ..quant.rows16 import ROWS, pad

ARCHITECTURE = "kimi-cpu"  # general.architecture of the native layout, so that llama.cpp refuses it by name
VERSION = 1  # kimi-cpu.version; the reader refuses others
ALIGNMENT = 4096  # general.alignment: one page of memory, one sector of any disk
HASHES = "kimi-cpu.sha256"  # name of the last tensor: I8 [rows, 32]
EXPERTS_SUFFIX = ".ffn_exps.weight"
PARTS = ("gate", "up", "down")  # matrices of an expert, in the order in which they lie
TOKENIZER = ("tokenizer.model", "tokenizer.ranks")  # bytes; both or none
TEXTS = (  # metadata that are texts, where a file has them
    "kimi-cpu.generation_config",
    "kimi-cpu.tokenizer_config",
    "kimi-cpu.license",
    "kimi-cpu.source",
    "tokenizer.chat_template",
)


class Packed(NamedTuple):
    """A matrix in one of the packed kinds: I8, its bytes."""

    rows: int
    cols: int


class Vector(NamedTuple):
    """F32 of a shape, one or two dimensions."""

    shape: tuple[int, ...]


class Experts(NamedTuple):
    """The routed experts of a layer: I8 [num_experts, stride]; gate and up are [rows, cols], down is [cols, rows]."""

    num_experts: int
    rows: int
    cols: int

    def shape(self, part: str) -> tuple[int, int]:
        return (self.cols, self.rows) if part == "down" else (self.rows, self.cols)


Contents = Iterator[tuple[str, Packed | Vector | Experts]]


def contents(c: ModelConfig, layers: range | None = None) -> Contents:
    """Every tensor but the tokenizer's and the hashes, in file order.

    layers: by default all; of others their own, with the embedding before the first, and norm and head after the last.
    """
    layers = c.layers if layers is None else layers
    if c.has_embedding(layers) or (c.has_head(layers) and c.tie_word_embeddings):
        yield "token_embd.weight", Packed(c.vocab_size, c.hidden_size)
    for layer in layers:
        yield from _attention(c, f"blk.{layer}.attn_")
        yield f"blk.{layer}.ffn_norm.weight", Vector((c.hidden_size,))
        yield from _moe(c, f"blk.{layer}.") if c.is_moe_layer(layer) else _mlp(c, f"blk.{layer}.", "")
    if c.has_head(layers):
        yield "output_norm.weight", Vector((c.hidden_size,))
        if not c.tie_word_embeddings:
            yield "output.weight", Packed(c.vocab_size, c.hidden_size)


def _attention(c: ModelConfig, p: str) -> Contents:
    heads, hidden, latent, query = c.num_attention_heads, c.hidden_size, c.kv_lora_rank, c.q_lora_rank
    yield p + "norm.weight", Vector((hidden,))
    if query:
        yield p + "q_a.weight", Packed(query, hidden)
    yield p + "kv_a_mqa.weight", Packed(latent + c.qk_rope_head_dim, hidden)
    if query:
        yield p + "q_a_norm.weight", Vector((query,))
    yield p + "kv_a_norm.weight", Vector((latent,))
    yield p + ("q_b.weight" if query else "q.weight"), Packed(heads * c.qk_head_dim, query or hidden)
    yield p + "k_b.weight", Packed(heads * pad(c.qk_nope_head_dim, ROWS), latent)
    yield p + "v_b.weight", Packed(heads * pad(c.v_head_dim, ROWS), latent)
    yield p + "output.weight", Packed(hidden, heads * c.v_head_dim)


def _mlp(c: ModelConfig, p: str, suffix: str) -> Contents:
    width = c.n_shared_experts * c.moe_intermediate_size if suffix else c.intermediate_size
    yield f"{p}ffn_gate{suffix}.weight", Packed(width, c.hidden_size)
    yield f"{p}ffn_up{suffix}.weight", Packed(width, c.hidden_size)
    yield f"{p}ffn_down{suffix}.weight", Packed(c.hidden_size, width)


def _moe(c: ModelConfig, p: str) -> Contents:
    yield p + "ffn_gate_inp.weight", Vector((c.n_routed_experts, c.hidden_size))
    yield p + "exp_probs_b.bias", Vector((c.n_routed_experts,))
    if c.n_shared_experts:
        yield from _mlp(c, p, "_shexp")
    yield p.rstrip(".") + EXPERTS_SUFFIX, Experts(c.n_routed_experts, c.moe_intermediate_size, c.hidden_size)


class TensorSpec(NamedTuple):
    """A tensor that is to be written: ggml_type as in gguf.GGMLQuantizationType's names, shape in numpy order."""

    name: str
    ggml_type: str
    shape: tuple[int, ...]
    nbytes: int


class HashRow(NamedTuple):
    """The bytes that one row of the hashes covers. expert None: the whole tensor; name "": the header."""

    name: str
    expert: int | None = None

    def __str__(self) -> str:
        if not self.name:
            return "the header"
        return f"tensor {self.name}" + ("" if self.expert is None else f", expert {self.expert}")


def hash_rows(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> list[HashRow]:
    """Rows of the tensor HASHES for tensors (name, shape) in file order, HASHES itself excluded.

    Row 0 is the header: all bytes before the first tensor. Then one row a tensor in file order. A tensor of experts has
    one row for each expert first, and its own is the SHA-256 of those rows. The last row, not in this list, is the
    SHA-256 of all rows before it.
    """
    rows = [HashRow("")]
    for name, shape in tensors:
        if name.endswith(EXPERTS_SUFFIX):
            rows.extend(HashRow(name, expert) for expert in range(shape[0]))
        rows.append(HashRow(name))
    return rows


def aligned(offset: int) -> int:
    """offset rounded up to the alignment."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
