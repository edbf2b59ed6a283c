"""The weights of a model as typed views of its file, named as in the checkpoint. Nothing is copied or converted."""

from dataclasses import dataclass

import numpy as np

from ..config import ModelConfig
from ..errors import ModelFileError
from ..kernels import Experts
from ..modelfile import ModelFile
from ..quant.rows16 import ROWS, Matrix, pad


@dataclass(frozen=True)
class AttentionWeights:
    """MLA. H hidden, A heads, N/R/V head widths without position, with position, of values; L kv_lora_rank."""

    input_layernorm: np.ndarray  # f32[H]
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

    attention: AttentionWeights
    post_attention_layernorm: np.ndarray  # f32[H]
    mlp: MlpWeights | MoeWeights


@dataclass(frozen=True)
class Weights:
    """The whole model."""

    embed_tokens: Matrix  # [vocab, H]
    layers: tuple[LayerWeights, ...]
    norm: np.ndarray  # f32[H]
    lm_head: Matrix  # [vocab, H]


def bind(file: ModelFile, config: ModelConfig) -> Weights:
    """Views of a native file's tensors, every shape checked against the configuration. Raises ModelFileError."""
    binder = _Binder(file, config)
    embed = binder.matrix("token_embd", config.vocab_size, config.hidden_size)
    tied = config.tie_word_embeddings
    return Weights(
        embed_tokens=embed,
        layers=tuple(binder.layer(n) for n in range(config.num_hidden_layers)),
        norm=binder.vector("output_norm.weight", config.hidden_size),
        lm_head=embed if tied else binder.matrix("output", config.vocab_size, config.hidden_size),
    )


class _Binder:
    """Looks names up in one file and checks what it finds: the kernels will index blindly."""

    def __init__(self, file: ModelFile, config: ModelConfig):
        self.file, self.config = file, config

    def layer(self, n: int) -> LayerWeights:
        c, p = self.config, f"blk.{n}."
        return LayerWeights(
            attention=self.attention(p),
            post_attention_layernorm=self.vector(p + "ffn_norm.weight", c.hidden_size),
            mlp=self.moe(n) if c.is_moe_layer(n) else self.mlp(p, "", c.intermediate_size),
        )

    def attention(self, p: str) -> AttentionWeights:
        c = self.config
        heads, hidden, latent = c.num_attention_heads, c.hidden_size, c.kv_lora_rank
        q_rows, v_cols = heads * c.qk_head_dim, heads * c.v_head_dim
        q_lora = c.q_lora_rank
        return AttentionWeights(
            input_layernorm=self.vector(p + "attn_norm.weight", hidden),
            q_a_proj=self.matrix(p + "attn_q_a", q_lora, hidden) if q_lora else None,
            q_a_layernorm=self.vector(p + "attn_q_a_norm.weight", q_lora) if q_lora else None,
            q_proj=self.matrix(p + ("attn_q_b" if q_lora else "attn_q"), q_rows, q_lora or hidden),
            kv_a_proj_with_mqa=self.matrix(p + "attn_kv_a_mqa", latent + c.qk_rope_head_dim, hidden),
            kv_a_layernorm=self.vector(p + "attn_kv_a_norm.weight", latent),
            k_b_proj=self.matrix(p + "attn_k_b", heads * pad(c.qk_nope_head_dim, ROWS), latent),
            v_b_proj=self.matrix(p + "attn_v_b", heads * pad(c.v_head_dim, ROWS), latent),
            o_proj=self.matrix(p + "attn_output", hidden, v_cols),
        )

    def mlp(self, p: str, suffix: str, width: int) -> MlpWeights:
        hidden = self.config.hidden_size
        return MlpWeights(
            gate_proj=self.matrix(p + "ffn_gate" + suffix, width, hidden),
            up_proj=self.matrix(p + "ffn_up" + suffix, width, hidden),
            down_proj=self.matrix(p + "ffn_down" + suffix, hidden, width),
        )

    def moe(self, n: int) -> MoeWeights:
        c, p = self.config, f"blk.{n}."
        shared = c.n_shared_experts * c.moe_intermediate_size
        return MoeWeights(
            gate=self.vector(p + "ffn_gate_inp.weight", c.n_routed_experts, c.hidden_size),
            e_score_correction_bias=self.vector(p + "exp_probs_b.bias", c.n_routed_experts),
            experts=self.experts(n),
            shared_experts=self.mlp(p, "_shexp", shared) if shared else None,
        )

    def experts(self, n: int) -> Experts:
        c = self.config
        data, parts = self.file.experts(n)  # u8[E, stride]
        expected = {
            "gate": (c.moe_intermediate_size, c.hidden_size),
            "up": (c.moe_intermediate_size, c.hidden_size),
            "down": (c.hidden_size, c.moe_intermediate_size),
        }
        found = {name: (part.rows, part.cols) for name, part in parts.items()}
        if found != expected or data.shape[0] != c.n_routed_experts:
            raise ModelFileError(
                f"{self.file.path}: tensor blk.{n}.ffn_exps.weight holds {data.shape[0]} experts of {found}, "
                f"the configuration asks for {c.n_routed_experts} of {expected}. Convert the checkpoint again."
            )
        gate, up, down = parts["gate"], parts["up"], parts["down"]
        stride = data.shape[1]
        return Experts(
            kind=gate.kind,
            data=data.reshape(-1),
            offsets=np.arange(c.n_routed_experts, dtype=np.int64) * stride,
            gate_offset=gate.offset,
            up_offset=up.offset,
            down_offset=down.offset,
            rows=c.moe_intermediate_size,
            cols=c.hidden_size,
        )

    def vector(self, name: str, *shape: int) -> np.ndarray:
        array = self.file.array(name)
        if array.shape != shape:
            self._refuse(name, array.shape, shape)
        return array

    def matrix(self, stem: str, rows: int, cols: int) -> Matrix:
        matrix = self.file.matrix(stem + ".weight")
        if (matrix.rows, matrix.cols) != (rows, cols):
            self._refuse(stem + ".weight", (matrix.rows, matrix.cols), (rows, cols))
        return matrix

    def _refuse(self, name: str, found: tuple, expected: tuple) -> None:
        raise ModelFileError(
            f"{self.file.path}: tensor {name} has shape {list(found)}, the configuration asks for {list(expected)}. "
            "Convert the checkpoint again."
        )
