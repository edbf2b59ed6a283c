"""The weights of a model as typed views of its file, named as in the checkpoint. Nothing is copied or converted."""

from dataclasses import dataclass

import numpy as np

from ..config import ModelConfig
from ..kernels import Experts
from ..modelfile import ModelFile
from ..quant.rows16 import Matrix

EMBEDDING = "token_embd.weight"  # lm_head too, when the embeddings are tied


@dataclass(frozen=True)
class AttentionWeights:
    """MLA. H hidden, A heads, N/R/V head widths without position, with position, of values; L kv_lora_rank."""

    q_a_proj: Matrix | None  # [q_lora_rank, H]
    q_a_layernorm: np.ndarray | None  # f32[q_lora_rank]
    q_proj: Matrix  # q_b_proj [A * (N + R), q_lora_rank], or q_proj [A * (N + R), H] without q_a_proj
    kv_a_proj_with_mqa: Matrix  # [L + R, H]
    kv_a_layernorm: np.ndarray  # f32[L]
    k_b_proj: Matrix  # [A * pad16(N), L], the key rows of kv_b_proj
    v_b_proj: Matrix  # [A * pad16(V), L], the value rows of kv_b_proj
    o_proj: Matrix  # [H, A * V]


@dataclass(frozen=True)
class MlpWeights:
    """A dense gated MLP of width I; the shared experts of a layer are one such MLP."""

    gate_proj: Matrix  # [I, H]
    up_proj: Matrix  # [I, H]
    down_proj: Matrix  # [H, I]


@dataclass(frozen=True)
class MoeWeights:
    """Router, routed experts and shared experts."""

    gate: np.ndarray  # f32[E, H]
    e_score_correction_bias: np.ndarray  # f32[E]
    experts: Experts
    shared_experts: MlpWeights | None


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer."""

    input_layernorm: np.ndarray  # f32[H]
    attention: AttentionWeights
    post_attention_layernorm: np.ndarray  # f32[H]
    mlp: MlpWeights | MoeWeights


@dataclass(frozen=True)
class HeadWeights:
    """From hidden values to logits."""

    norm: np.ndarray  # f32[H]
    lm_head: Matrix  # [vocab, H]


@dataclass(frozen=True)
class Weights:
    """A model, or some layers of it."""

    embed_tokens: Matrix | None  # [vocab, H]
    layers: dict[int, LayerWeights]  # by number
    head: HeadWeights | None

    def experts(self) -> dict[int, Experts]:
        """The routed experts of the layers that have some."""
        return {n: w.mlp.experts for n, w in self.layers.items() if isinstance(w.mlp, MoeWeights)}


def bind(file: ModelFile, layers: range | None = None) -> Weights:
    """Views of a native file's tensors, which were checked against its configuration when that was read.

    layers: by default all; the embedding comes with the first one, the head with the last.
    """
    config = file.config
    layers = config.layers if layers is None else layers
    return Weights(
        embed_tokens=file.matrix(EMBEDDING) if config.has_embedding(layers) else None,
        layers={n: _layer(file, config, n) for n in layers},
        head=_head(file, config) if config.has_head(layers) else None,
    )


def _head(file: ModelFile, config: ModelConfig) -> HeadWeights:
    lm_head = file.matrix(EMBEDDING if config.tie_word_embeddings else "output.weight")
    return HeadWeights(file.array("output_norm.weight"), lm_head)


def _layer(file: ModelFile, config: ModelConfig, n: int) -> LayerWeights:
    p = f"blk.{n}."
    return LayerWeights(
        input_layernorm=file.array(p + "attn_norm.weight"),
        attention=_attention(file, p + "attn_", with_q_lora=config.q_lora_rank is not None),
        post_attention_layernorm=file.array(p + "ffn_norm.weight"),
        mlp=_moe(file, config, n) if config.is_moe_layer(n) else _mlp(file, p, ""),
    )


def _attention(file: ModelFile, p: str, with_q_lora: bool) -> AttentionWeights:
    return AttentionWeights(
        q_a_proj=file.matrix(p + "q_a.weight") if with_q_lora else None,
        q_a_layernorm=file.array(p + "q_a_norm.weight") if with_q_lora else None,
        q_proj=file.matrix(p + ("q_b.weight" if with_q_lora else "q.weight")),
        kv_a_proj_with_mqa=file.matrix(p + "kv_a_mqa.weight"),
        kv_a_layernorm=file.array(p + "kv_a_norm.weight"),
        k_b_proj=file.matrix(p + "k_b.weight"),
        v_b_proj=file.matrix(p + "v_b.weight"),
        o_proj=file.matrix(p + "output.weight"),
    )


def _mlp(file: ModelFile, p: str, suffix: str) -> MlpWeights:
    return MlpWeights(*(file.matrix(f"{p}ffn_{part}{suffix}.weight") for part in ("gate", "up", "down")))


def _moe(file: ModelFile, config: ModelConfig, n: int) -> MoeWeights:
    p = f"blk.{n}."
    return MoeWeights(
        gate=file.array(p + "ffn_gate_inp.weight"),
        e_score_correction_bias=file.array(p + "exp_probs_b.bias"),
        experts=_experts(file, n),
        shared_experts=_mlp(file, p, "_shexp") if config.n_shared_experts else None,
    )


def _experts(file: ModelFile, n: int) -> Experts:
    data, parts = file.experts(n)  # u8[E, stride]
    gate, up, down = parts["gate"], parts["up"], parts["down"]
    return Experts(
        kinds=(gate.kind, up.kind, down.kind),
        data=data,
        address=data.ctypes.data + data.strides[0] * np.arange(len(data)),
        gate_offset=gate.offset,
        up_offset=up.offset,
        down_offset=down.offset,
        rows=gate.rows,
        cols=gate.cols,
    )
