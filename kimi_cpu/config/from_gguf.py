"""The metadata of a deepseek2 GGUF file as a ModelConfig, by the rules of llama.cpp's converter and loader."""

import re
import struct

from ..errors import ConfigError, shown
from .model_config import ModelConfig, RopeScaling
from .reader import Reader, listed

ARCHITECTURE = "deepseek2"
TOKENIZER = "tokenizer.ggml."
EOS = ("eos_token_id", "eot_token_id")
SIGMOID = 2  # llama.cpp: LLAMA_EXPERT_GATING_FUNC_TYPE_SIGMOID
KIMI_VOCAB_SIZE = 163_840  # Kimi K2, K2 Thinking, K2.5
OTHERS = {  # architectures that are taken for it: what they do otherwise
    "deepseek": "has no multi-head latent attention",
    "deepseek32": "attends sparsely",
    "deepseek2-ocr": "is no text model",
    "kimi-linear": "attends linearly in most layers",
}
# What changes nothing: latents are one head, and the rest repeats other keys or is about how the file came to be.
INERT = frozenset(
    ["attention.head_count_kv", "rope.scaling.finetuned", "expert_shared_feed_forward_length", "tensor_data_layout"]
)
BETA_FAST = 32.0  # llama.cpp's default for a file without the key


def from_gguf(metadata: dict, tie_word_embeddings: bool) -> tuple[ModelConfig, list[str]]:
    """See ModelConfig.from_gguf."""
    if metadata.get("general.architecture") != ARCHITECTURE:
        raise ConfigError(_other_model(metadata))
    if metadata.get("general.type", "model") != "model":
        found = str(metadata["general.type"])[:40]
        raise ConfigError(f"general.type is {found!r}, which is no whole model; give the file of the language model.")
    prefix = f"{ARCHITECTURE}."
    values = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
    reader, warnings = Reader(values, where=prefix), []
    tokenizer = {key.removeprefix(TOKENIZER): value for key, value in metadata.items() if key.startswith(TOKENIZER)}
    ids = Reader(tokenizer, where=TOKENIZER)
    experts = reader.integer("expert_count", 0)
    _check_scoring(reader, experts)
    reader.only("nextn_predict_layers", 0, default=0)
    key_width = reader.integer("attention.key_length_mla", reader.integer("attention.key_length"))
    rope = reader.integer("rope.dimension_count")
    vocab_size = reader.integer("vocab_size", _count(tokenizer.get("tokens")))
    config = ModelConfig(
        vocab_size=vocab_size,
        hidden_size=reader.integer("embedding_length"),
        intermediate_size=reader.integer("feed_forward_length"),
        moe_intermediate_size=reader.integer("expert_feed_forward_length", 0),
        num_hidden_layers=reader.integer("block_count"),
        num_attention_heads=reader.integer("attention.head_count"),
        kv_lora_rank=reader.integer("attention.kv_lora_rank"),
        q_lora_rank=reader.integer("attention.q_lora_rank", 0) or None,
        qk_nope_head_dim=max(0, key_width - rope),
        qk_rope_head_dim=rope,
        v_head_dim=reader.integer("attention.value_length_mla", reader.integer("attention.value_length")),
        n_routed_experts=experts,
        n_shared_experts=reader.integer("expert_shared_count", 0),
        num_experts_per_tok=reader.integer("expert_used_count", 0),
        n_group=reader.integer("expert_group_count", 1),
        topk_group=reader.integer("expert_group_used_count", 1),
        norm_topk_prob=reader.flag("expert_weights_norm", False),
        scoring_func="sigmoid",
        routed_scaling_factor=_decimal(reader.number("expert_weights_scale", 1.0)),
        first_k_dense_replace=reader.integer("leading_dense_block_count", 0),
        moe_layer_freq=1,
        max_position_embeddings=reader.integer("context_length"),
        rms_norm_eps=_decimal(reader.number("attention.layer_norm_rms_epsilon")),
        rope_theta=_decimal(reader.number("rope.freq_base", 10_000.0)),  # llama.cpp's default
        rope_scaling=_scaling(reader, str(metadata.get("general.name", "")), vocab_size, warnings),
        rope_interleave=True,
        tie_word_embeddings=tie_word_embeddings,
        bos_token_id=ids.integer("bos_token_id") if "bos_token_id" in ids.values else None,
        eos_token_ids=tuple(dict.fromkeys(ids.integer(key) for key in EOS if key in ids.values)),
    )
    unknown = [key for key in reader.unknown(INERT) if config.rope_scaling or ".rope.scaling." not in key]
    if unknown:
        warnings.append(f"Unknown keys in the metadata are ignored: {listed(unknown)}.")
    return config, warnings


def _other_model(metadata: dict) -> str:
    """Why general.architecture is not ARCHITECTURE."""
    found = str(metadata.get("general.architecture"))[:40]
    if "general.architecture" not in metadata:
        return (
            "general.architecture is missing; if this is a later part of a split file, give its first part's name back."
        )
    if found == "clip":
        return "general.architecture is 'clip': the vision tower (mmproj) alone; give the file of the language model."
    why = OTHERS.get(found)
    return (
        f"general.architecture is {found!r}{f', which {why}' if why else ''}; this engine reads {ARCHITECTURE} files "
        "(DeepSeek-V3, Kimi K2, K2 Thinking, K2.5)."
    )


def _check_scoring(reader: Reader, num_experts: int) -> None:
    """ConfigError unless experts are scored by sigmoid. llama.cpp takes a file without the key for DeepSeek-V2's."""
    found = reader.get("expert_gating_func", None)
    if num_experts and (found != SIGMOID or type(found) is not int):
        was = "absent" if found is None else shown(found)
        raise ConfigError(
            f"{reader.where}expert_gating_func is {was}: experts are not scored by sigmoid ({SIGMOID}), as in "
            "DeepSeek-V3 and Kimi K2, but by softmax (1, or absent), as in DeepSeek-V2 and V2-Lite, or in another way; "
            "this engine implements only sigmoid."
        )


def _scaling(reader: Reader, name: str, vocab_size: int, warnings: list[str]) -> RopeScaling | None:
    if reader.only("rope.scaling.type", "none", "yarn", default="none") == "none":
        return None
    for key in ("attn_factor", "yarn_attn_factor", "yarn_ext_factor"):
        reader.only(f"rope.scaling.{key}", 1.0, default=1.0)
    # The converter stores 0.1 * mscale_all_dim, and llama.cpp leaves cosines and sines unscaled: mscale is the same.
    multiplier = reader.number("rope.scaling.yarn_log_multiplier", 0.0)
    if multiplier <= 0:
        raise ConfigError(
            f"{reader.where}rope.scaling.yarn_log_multiplier is {multiplier}; YaRN in this architecture needs it."
        )
    mscale = round(10 * _decimal(multiplier), 6)
    if "rope.scaling.yarn_beta_fast" in reader.values:
        beta_fast = reader.number("rope.scaling.yarn_beta_fast")
    else:
        later = re.search(r"k2\.\d", name, re.IGNORECASE)  # Kimi K2.5 and on have 32, all before them 1
        beta_fast = 1.0 if vocab_size == KIMI_VOCAB_SIZE and not later else BETA_FAST
        warnings.append(f"The file does not state yarn_beta_fast; {beta_fast:g} is assumed, as {name or 'it'} needs.")
    return RopeScaling(
        factor=_decimal(reader.number("rope.scaling.factor")),
        original_max_position_embeddings=reader.integer("rope.scaling.original_context_length"),
        beta_fast=_decimal(beta_fast),
        beta_slow=_decimal(reader.number("rope.scaling.yarn_beta_slow", 1.0)),
        mscale=mscale,
        mscale_all_dim=mscale,
    )


def _count(tokens) -> int:
    return len(tokens) if isinstance(tokens, list) else 0


def _decimal(value: float) -> float:
    """The short decimal that was meant when a float32 holds it (2.827 for 2.8269999027), else the value itself."""
    short = float(f"{value:.7g}")
    return short if struct.pack("<f", short) == struct.pack("<f", value) else value
