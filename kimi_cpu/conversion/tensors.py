"""The tensors of a checkpoint: their names, how they are quantized, and their values as float32."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from ..config import ModelConfig
from ..errors import ConfigError, shown
from ..quant import bf16_to_f32, f32_to_bf16

NUMPY = {  # dtype of safetensors or GGUF: how its bytes are viewed
    **{"BOOL": np.uint8, "U8": np.uint8, "I8": np.int8, "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "F8_E8M0": np.uint8},
    **{"I16": np.int16, "U16": np.uint16, "F16": np.float16, "BF16": np.uint16, "I32": np.int32, "U32": np.uint32},
    **{"F32": np.float32, "F64": np.float64, "I64": np.int64, "U64": np.uint64},
}
FLOATS = ("F32", "F16", "BF16", "F8_E4M3")  # of safetensors
GROUP = 32  # inputs that share a scale
CHUNK_BYTES = 4 << 20  # of blocks, decoded at a time
Q4_0_BYTES = 18  # ggml: block_q4_0, an f16 scale and 32 nibbles
INT4_WEIGHTS = {"num_bits": 4, "type": "int", "block_structure": None}
GROUPED, BY_ROW = "group", "channel"  # strategies in which scales belong to inputs of one row
# compressed-tensors, ActivationOrdering: with these the columns were visited in another order, but stored as ever;
# "group" and "dynamic" leave groups that are scattered over the row, which weight_g_idx lists.
ORDERS = (None, False, "weight", "static")
REMEDY = "Take the checkpoint as its publisher released it, or one in BF16."
METHODS = {  # quant_method: whose it is
    **{"gptq": "GPTQ", "awq": "AWQ", "bitsandbytes": "bitsandbytes", "modelopt": "NVIDIA ModelOpt", "exl3": "EXL3"},
    **{"mxfp4": "MXFP4", "auto-round": "AutoRound", "hqq": "HQQ", "quark": "AMD Quark", "torchao": "torchao"},
}


def layer_linears(config: ModelConfig, layer: int) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of every matrix of a layer, in the order in which a token meets them; experts last."""
    c, at, mlp = config, f"model.layers.{layer}.self_attn", f"model.layers.{layer}.mlp"
    heads, hidden = c.num_attention_heads, c.hidden_size
    if c.q_lora_rank is None:
        yield f"{at}.q_proj", heads * c.qk_head_dim, hidden
    else:
        yield f"{at}.q_a_proj", c.q_lora_rank, hidden
        yield f"{at}.q_b_proj", heads * c.qk_head_dim, c.q_lora_rank
    yield f"{at}.kv_a_proj_with_mqa", c.kv_lora_rank + c.qk_rope_head_dim, hidden
    yield f"{at}.kv_b_proj", heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank
    yield f"{at}.o_proj", hidden, heads * c.v_head_dim
    if not c.is_moe_layer(layer):
        yield from mlp_linears(mlp, c.intermediate_size, hidden)
        return
    yield f"{mlp}.gate", c.n_routed_experts, hidden
    if c.n_shared_experts:
        yield from mlp_linears(f"{mlp}.shared_experts", c.moe_intermediate_size * c.n_shared_experts, hidden)
    for expert in range(c.n_routed_experts):
        yield from mlp_linears(f"{mlp}.experts.{expert}", c.moe_intermediate_size, hidden)


def mlp_linears(prefix: str, width: int, hidden: int) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of the gate, up and down projections of one gated MLP."""
    yield f"{prefix}.gate_proj", width, hidden
    yield f"{prefix}.up_proj", width, hidden
    yield f"{prefix}.down_proj", hidden, width


def linears(config: ModelConfig) -> Iterator[tuple[str, int, int]]:
    """(module, rows, cols) of every matrix of the model, the embedding table and the head among them."""
    yield "model.embed_tokens", config.vocab_size, config.hidden_size
    for layer in range(config.num_hidden_layers):
        yield from layer_linears(config, layer)
    if not config.tie_word_embeddings:
        yield "lm_head", config.vocab_size, config.hidden_size


def vectors(config: ModelConfig) -> Iterator[tuple[str, int]]:
    """(tensor name, length) of every vector of the model: norms and the router's selection bias."""
    c = config
    for layer in range(c.num_hidden_layers):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", c.hidden_size
        if c.q_lora_rank is not None:
            yield f"{at}.self_attn.q_a_layernorm.weight", c.q_lora_rank
        yield f"{at}.self_attn.kv_a_layernorm.weight", c.kv_lora_rank
        yield f"{at}.post_attention_layernorm.weight", c.hidden_size
        if c.is_moe_layer(layer):
            yield f"{at}.mlp.gate.e_score_correction_bias", c.n_routed_experts
    yield "model.norm.weight", c.hidden_size


class Quantization(NamedTuple):
    """The storage of matrices. scale_block: rows and columns of one FP8 scale. groups: how many inputs of a row may
    share an INT4 scale; None: all of them."""

    scale_block: tuple[int, int] = (128, 128)
    groups: frozenset[int | None] = frozenset({GROUP})


def quantization_of(hf: dict) -> dict | None:
    """quantization_config of a parsed config.json: of the model, or of the text model inside (Kimi K2.5)."""
    text = hf.get("text_config")
    return hf.get("quantization_config") or (text.get("quantization_config") if isinstance(text, dict) else None)


def check_quantization(hf: dict) -> Quantization:
    """Quantization of a parsed config.json. Raises ConfigError, naming the key, for one that cannot be read here."""
    quantization = quantization_of(hf)
    if quantization is None:
        return Quantization()
    if not isinstance(quantization, dict):
        raise ConfigError("quantization_config is not an object.")
    method = quantization.get("quant_method")
    if method == "fp8":
        return _fp8(quantization)
    if method == "compressed-tensors":
        return _compressed_tensors(quantization)
    if method is None and {"group_size", "bits"} <= quantization.keys():
        raise ConfigError(f"quantization_config is MLX's ({quantization['bits']} bits), which cannot be read. {REMEDY}")
    raise ConfigError(
        f"quantization_config.quant_method is {shown(method)}{_whose(method)}; "
        f"compressed-tensors and fp8 can be read. {REMEDY}"
    )


def _fp8(quantization: dict) -> Quantization:
    if quantization.get("fmt", "e4m3") != "e4m3":
        raise ConfigError(f"quantization_config.fmt is {shown(quantization['fmt'])}; only 'e4m3' can be read. {REMEDY}")
    block = quantization.get("weight_block_size")
    if not isinstance(block, list) or len(block) != 2 or not all(type(n) is int and n > 0 for n in block):
        raise ConfigError(
            f"quantization_config.weight_block_size is {shown(block)}; two whole numbers are needed. {REMEDY}"
        )
    return Quantization(scale_block=(block[0], block[1]))


def _compressed_tensors(quantization: dict) -> Quantization:
    if quantization.get("kv_cache_scheme") is not None:
        raise ConfigError("quantization_config.kv_cache_scheme is set; the cache's type is chosen when the model runs.")
    sparsity = quantization.get("sparsity_config") or {}
    if not isinstance(sparsity, dict) or sparsity.get("format", "dense") != "dense":
        raise ConfigError(f"quantization_config.sparsity_config is set; only dense weights can be read. {REMEDY}")
    if quantization.get("transform_config"):
        raise ConfigError(f"quantization_config.transform_config is set; rotated weights cannot be read. {REMEDY}")
    groups = quantization.get("config_groups")
    if not isinstance(groups, dict) or not groups:
        raise ConfigError("quantization_config.config_groups names no group.")
    return Quantization(groups=frozenset(_group(name, group, quantization) for name, group in groups.items()))


def _group(name: str, group, quantization: dict) -> int | None:
    """Inputs that share a scale in the matrices of one group; None: all of a row."""
    where = f"quantization_config.config_groups.{name[:40]}"
    weights = group.get("weights") if isinstance(group, dict) else None
    if not isinstance(weights, dict):
        raise ConfigError(f"{where}.weights is missing.")
    found, at = group.get("format"), f"{where}.format"  # a group's own comes first
    if found is None:
        found, at = quantization.get("format"), "quantization_config.format"
    if found != "pack-quantized":
        raise ConfigError(f"{at} is {shown(found)}; only 'pack-quantized' can be read. {REMEDY}")
    for key, wanted in INT4_WEIGHTS.items():
        if weights.get(key) != wanted:
            raise ConfigError(
                f"{where}.weights.{key} is {shown(weights.get(key))}; only {wanted!r} can be read. {REMEDY}"
            )
    if not any(weights.get("actorder") is order or weights.get("actorder") == order for order in ORDERS):
        raise ConfigError(
            f"{where}.weights.actorder is {shown(weights['actorder'])}; groups of scattered columns cannot be read, "
            f"'weight', 'static' and null can. {REMEDY}"
        )
    if weights.get("dynamic"):
        raise ConfigError(f"{where}.weights.dynamic is {shown(weights['dynamic'])}; only false can be read. {REMEDY}")
    for key in ("input_activations", "output_activations"):
        if group.get(key) is not None:
            raise ConfigError(f"{where}.{key} is set; only weights may be quantised in the checkpoint. {REMEDY}")
    return _group_size(where, weights)


def _group_size(where: str, weights: dict) -> int | None:
    strategy, size = weights.get("strategy"), weights.get("group_size")
    if strategy == BY_ROW:
        return None
    if strategy != GROUPED:
        raise ConfigError(
            f"{where}.weights.strategy is {shown(strategy)}; only {GROUPED!r} and {BY_ROW!r} can be read. {REMEDY}"
        )
    if type(size) is not int or size <= 0 or size % GROUP:
        raise ConfigError(
            f"{where}.weights.group_size is {shown(size)}; only multiples of {GROUP} can be read. {REMEDY}"
        )
    return size


def _whose(method) -> str:
    name = METHODS.get(method) if isinstance(method, str) else None
    return f" ({name})" if name else ""


def float8_e4m3_values() -> np.ndarray:
    """f32[256]: the value of each E4M3FN byte: sign, 4 bits of exponent (bias 7), 3 of mantissa; 0x7F and 0xFF NaN.

    Micikevicius et al., "FP8 Formats for Deep Learning" (2022), table 1.
    """
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, code & 7
    size = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    size[[0x7F, 0xFF]] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)


FLOAT8_E4M3 = float8_e4m3_values()


@cache
def can_decode(dtype: str) -> bool:
    """Whether to_f32 knows a dtype, of safetensors or of GGUF."""
    if dtype in FLOATS:
        return True
    import gguf  # 0.3 s: not before a GGUF type asks for it

    kind = gguf.GGMLQuantizationType[dtype]
    try:
        gguf.quants.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def to_f32(dtype: str, raw: np.ndarray) -> np.ndarray:
    """f32 of the values. raw: elements as NUMPY views them, or rows u8[..., bytes a row] of a GGUF block type."""
    if dtype == "BF16":
        return bf16_to_f32(raw)
    if dtype == "F8_E4M3":
        return FLOAT8_E4M3[raw]
    if dtype in NUMPY:
        return raw.astype(np.float32)
    import gguf

    return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[dtype])


def scale_blocks(values: np.ndarray, scales: np.ndarray, start: int, block: tuple[int, int]) -> np.ndarray:
    """values f32[n, C] (rows start.. of a matrix) times scales f32[ceil(R/rows), ceil(C/cols)] of blocks (rows, cols).

    DeepSeek-V3, inference/kernel.py, weight_dequant: the stored weight_scale_inv multiplies, in spite of its name.
    """
    rows = np.arange(start, start + len(values)) // block[0]
    by_column = np.repeat(scales, block[1], axis=1)[:, : values.shape[1]]  # [row blocks, C]
    return values * by_column[rows]


def unpack_nibbles(packed: np.ndarray) -> np.ndarray:
    """u8[n, C]: column 8w + j is bits 4j..4j+3 of word w (compressed-tensors pack-quantized). packed i32[n, C/8]."""
    low_first = packed.view(np.uint8)  # little-endian words: byte b holds columns 2b (low) and 2b + 1 (high)
    return np.stack([low_first & 15, low_first >> 4], axis=-1).reshape(len(packed), -1)


def q4_0_to_int4(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(packed i32[n, C/8] as in compressed-tensors, scales (bf16 bits) u16[n, C/32], scales that bf16 had to round).

    raw u8[n, bytes a row] of Q4_0: a block is an f16 scale and 16 bytes; byte k holds columns k (low) and k + 16.
    """
    num_blocks = raw.shape[1] // Q4_0_BYTES
    packed = np.empty((len(raw), num_blocks * GROUP // 2), np.uint8)
    scales, rounded = np.empty((len(raw), num_blocks), np.uint16), 0
    step = max(1, CHUNK_BYTES // raw.shape[1])  # an embedding table has 660 MB, and what stands between is larger
    for start in range(0, len(raw), step):
        blocks = raw[start : start + step].reshape(-1, num_blocks, Q4_0_BYTES)
        exact = blocks[..., :2].copy().view(np.float16)[..., 0].astype(np.float32)  # [step, blocks]
        scales[start : start + step] = f32_to_bf16(exact)
        halves = np.concatenate([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], axis=-1)  # [step, blocks, 32] by column
        nibbles = halves[..., 0::2] | (halves[..., 1::2] << np.uint8(4))
        packed[start : start + step] = nibbles.reshape(len(blocks), -1)
        rounded += int(np.count_nonzero(bf16_to_f32(scales[start : start + step]) != exact))
    return packed.view(np.int32), scales, rounded
