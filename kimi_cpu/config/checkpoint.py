"""Configurations of checkpoints as a ModelConfig: config.json of Kimi K2, DeepSeek-V3 and Kimi K2.5, and metadata of
deepseek2 GGUF files, by the rules of llama.cpp's converter and loader.

A value that changes the mathematics is honoured or refused by name; keys that nobody here knows are listed in one
warning.
"""

import re
import struct

from ..errors import ConfigError, shown
from .model_config import ModelConfig, RopeScaling
from .values import MAX_INT, Reader, listed

MODEL_TYPES = ("kimi_k2", "deepseek_v3")  # model_type of the text backbone
VISION_TYPE = "kimi_k25"  # of K2.5 and K2.6, whose text_config is one of them
OTHER_MODEL_TYPES = {  # relatives that are taken for them: what they do otherwise
    "deepseek": "has no multi-head latent attention",
    "deepseek_v2": "scores its experts by softmax (V2 and V2-Lite) and not by sigmoid with a correction bias",
    "deepseek_v32": "attends sparsely",
    "kimi_linear": "attends linearly in most layers",
}

_INERT = """
    _attn_implementation _name_or_path add_cross_attention architectures attention_dropout auto_map aux_loss_alpha
    bad_words_ids begin_suppress_tokens chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id
    diversity_penalty do_sample dtype early_stopping encoder_no_repeat_ngram_size ep_size
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id head_dim id2label
    initializer_range is_decoder is_encoder_decoder label2id length_penalty max_length min_length model_type
    no_repeat_ngram_size num_beam_groups num_beams num_mtp_layers num_nextn_predict_layers num_return_sequences
    output_attentions output_hidden_states output_router_logits output_scores pad_token_id prefix pretraining_tp
    problem_type pruned_heads quantization_config remove_invalid_values repetition_penalty return_dict
    return_dict_in_generate sep_token_id seq_aux suppress_tokens task_specific_params temperature tf_legacy_loss
    tie_encoder_decoder tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p
    use_bfloat16 use_cache"""
INERT_KEYS = frozenset(_INERT.split())  # generation defaults, training, bookkeeping of transformers
_VISION = """ignore_index media_placeholder_token_id text_config use_unified_vision_chunk video_placeholder
    vision_config"""
VISION_KEYS = frozenset(_VISION.split())  # beside text_config in K2.5 and K2.6: the vision tower is not converted


def config_from_hf(hf: dict) -> tuple[ModelConfig, list[str]]:
    """(configuration, warnings) of a parsed config.json.

    Raises ConfigError, which names the key, when a value is missing, of the wrong type or cannot be honoured.
    """
    if not isinstance(hf, dict):
        raise ConfigError("The configuration is not a JSON object; give the checkpoint's config.json.")
    outer_type, text, unknown = hf.get("model_type"), hf, []
    if isinstance(hf.get("text_config"), dict):
        text = {"tie_word_embeddings": hf.get("tie_word_embeddings", False), **hf["text_config"]}
        outer = {key: value for key, value in hf.items() if key not in text}
        unknown = Reader(outer).unknown(INERT_KEYS, VISION_KEYS)
    if text.get("model_type") not in MODEL_TYPES:
        raise ConfigError(_other_model_type(text.get("model_type", outer_type), hf))
    reader = Reader(text)
    _refuse_variants(reader)
    eos = reader.get("eos_token_id", None)
    theta, scaling, more = _rope(reader)
    experts = reader.integer("n_routed_experts")
    config = ModelConfig(
        vocab_size=reader.integer("vocab_size"),
        hidden_size=reader.integer("hidden_size"),
        intermediate_size=reader.integer("intermediate_size"),
        moe_intermediate_size=reader.integer("moe_intermediate_size"),
        num_hidden_layers=reader.integer("num_hidden_layers"),
        num_attention_heads=reader.integer("num_attention_heads"),
        kv_lora_rank=reader.integer("kv_lora_rank"),
        q_lora_rank=None if reader.get("q_lora_rank") is None else reader.integer("q_lora_rank"),
        qk_nope_head_dim=reader.integer("qk_nope_head_dim"),
        qk_rope_head_dim=reader.integer("qk_rope_head_dim"),
        v_head_dim=reader.integer("v_head_dim"),
        n_routed_experts=experts,
        n_shared_experts=reader.integer("n_shared_experts", 0) if not experts else reader.integer("n_shared_experts"),
        num_experts_per_tok=reader.integer("num_experts_per_tok"),
        n_group=reader.integer("n_group"),
        topk_group=reader.integer("topk_group"),
        norm_topk_prob=reader.flag("norm_topk_prob"),
        scoring_func=reader.only("scoring_func", "sigmoid", default="sigmoid"),
        routed_scaling_factor=reader.number("routed_scaling_factor"),
        first_k_dense_replace=reader.integer("first_k_dense_replace"),
        moe_layer_freq=reader.integer("moe_layer_freq", 1),
        max_position_embeddings=reader.integer("max_position_embeddings"),
        rms_norm_eps=reader.number("rms_norm_eps"),
        rope_theta=theta,
        rope_scaling=scaling,
        rope_interleave=reader.flag("rope_interleave", True),  # transformers' default for this architecture
        tie_word_embeddings=reader.flag("tie_word_embeddings", False),
        bos_token_id=None if reader.get("bos_token_id", None) is None else reader.integer("bos_token_id"),
        eos_token_ids=_token_ids(eos),
    )
    _check_derived(reader, config)
    unknown += reader.unknown(INERT_KEYS) + more
    return config, [f"Unknown keys in the configuration are ignored: {listed(unknown)}."] if unknown else []


def config_to_hf(config: ModelConfig) -> dict:
    """A config.json that config_from_hf reads as this very configuration."""
    hf = {name: getattr(config, name) for name in config.__dataclass_fields__ if name != "eos_token_ids"}
    scaling = config.rope_scaling
    hf["rope_scaling"] = None if scaling is None else {"type": "yarn", **vars(scaling)}
    return hf | {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "kimi_k2",
        "hidden_act": "silu",
        "topk_method": "noaux_tc",
        "attention_bias": False,
        "num_key_value_heads": config.num_attention_heads,
        "eos_token_id": list(config.eos_token_ids) or None,
    }


def _other_model_type(model_type, hf: dict) -> str:
    """The error of a model_type that is none of MODEL_TYPES."""
    if model_type == VISION_TYPE and "text_config" not in hf:
        return f"model_type is {VISION_TYPE!r}, but text_config, which describes the language model, is missing."
    if "vision_config" not in hf and {"vt_hidden_size", "vt_num_hidden_layers"} & hf.keys():
        return f"model_type is {shown(model_type)}: a vision tower alone, without the language model around it."
    if model_type is None:
        return "The configuration has no model_type; give the config.json of a checkpoint."
    why = OTHER_MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    runs = f"this engine runs {' and '.join(MODEL_TYPES)}, and {VISION_TYPE} around them"
    return f"model_type is {shown(model_type)}{f', which {why}' if why else ''}; {runs}."


def _refuse_variants(reader: Reader) -> None:
    """Raise ConfigError for members of the family that compute something else."""
    reader.only("hidden_act", "silu", "swish", default="silu")  # the two names of one function
    reader.only("attention_bias", False, default=False)
    reader.only("mlp_bias", False, default=False)
    reader.only("topk_method", "noaux_tc", default="noaux_tc")
    reader.only("sliding_window", None, default=None)


def _check_derived(reader: Reader, config: ModelConfig) -> None:
    """Raise ConfigError where a key repeats another one with a different value."""
    heads = reader.integer("num_key_value_heads", config.num_attention_heads)
    if heads != config.num_attention_heads:
        raise ConfigError(
            f"num_key_value_heads is {heads}; multi-head latent attention has one for each of the "
            f"{config.num_attention_heads} query heads (num_attention_heads)."
        )
    width = reader.integer("qk_head_dim", config.qk_head_dim)
    if width != config.qk_head_dim:
        raise ConfigError(f"qk_head_dim is {width}, but qk_nope_head_dim + qk_rope_head_dim is {config.qk_head_dim}.")


def _token_ids(value) -> tuple[int, ...]:
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i <= MAX_INT for i in ids):
        raise ConfigError(f"eos_token_id is {shown(value)}; it must be a token id, a list of them or null.")
    return tuple(ids)


def _rope(reader: Reader) -> tuple[float, RopeScaling | None, list[str]]:
    """(rope_theta, scaling, unknown keys) from rope_theta and rope_scaling, or rope_parameters (transformers 5)."""
    old, new = reader.get("rope_scaling", None), reader.get("rope_parameters", None)
    name = "rope_scaling" if new is None else "rope_parameters"
    values = old if new is None else new
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{name} is {shown(values)}; it must be an object or null.")
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() & new.keys()):
            if old[key] != new[key]:
                raise ConfigError(f"rope_scaling.{key} and rope_parameters.{key} contradict each other; remove one.")
    rope = Reader(values or {}, where=f"{name}.")
    theta = rope.number("rope_theta") if new and "rope_theta" in new else reader.number("rope_theta")
    if "rope_theta" in reader.values and reader.number("rope_theta") != theta:
        raise ConfigError("rope_theta and rope_parameters.rope_theta contradict each other; remove one.")
    kind = rope.get("rope_type", None) or rope.get("type", "default")
    rope.read.add("type")
    if kind == "default":
        return theta, None, rope.unknown()
    if kind != "yarn":
        raise ConfigError(f"{name}.type is {shown(kind)}; this engine implements only 'yarn' and 'default'.")
    rope.only("attention_factor", None, default=None)
    rope.only("truncate", True, default=True)
    scaling = RopeScaling(
        factor=rope.number("factor"),
        original_max_position_embeddings=rope.integer("original_max_position_embeddings"),
        beta_fast=rope.number("beta_fast", 32.0),
        beta_slow=rope.number("beta_slow", 1.0),
        mscale=rope.number("mscale", 0.0),
        mscale_all_dim=rope.number("mscale_all_dim", 0.0),
    )
    return theta, scaling, rope.unknown()


ARCHITECTURE = "deepseek2"
TOKENIZER = "tokenizer.ggml."
EOS = ("eos_token_id", "eot_token_id")
SIGMOID = 2  # llama.cpp: LLAMA_EXPERT_GATING_FUNC_TYPE_SIGMOID
KIMI_VOCAB_SIZE = 163_840  # Kimi K2, K2 Thinking, K2.5
OTHER_ARCHITECTURES = {  # architectures that are taken for it: what they do otherwise
    "deepseek": "has no multi-head latent attention",
    "deepseek32": "attends sparsely",
    "deepseek2-ocr": "is no text model",
    "kimi-linear": "attends linearly in most layers",
}
# Keys that change nothing: latents are one head; the rest repeats other keys or is about how the file came to be.
INERT_METADATA = frozenset(
    ["attention.head_count_kv", "rope.scaling.finetuned", "expert_shared_feed_forward_length", "tensor_data_layout"]
)
BETA_FAST = 32.0  # llama.cpp's default for a file without the key


def config_from_gguf(metadata: dict, tie_word_embeddings: bool = False) -> tuple[ModelConfig, list[str]]:
    """(configuration, warnings) of the metadata {key: python value} of a deepseek2 GGUF file.

    tie_word_embeddings: the file has no output.weight. Raises ConfigError as config_from_hf does.
    """
    if metadata.get("general.architecture") != ARCHITECTURE:
        raise ConfigError(_other_architecture(metadata))
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
    unknown = [key for key in reader.unknown(INERT_METADATA) if config.rope_scaling or ".rope.scaling." not in key]
    if unknown:
        warnings.append(f"Unknown keys in the metadata are ignored: {listed(unknown)}.")
    return config, warnings


def _other_architecture(metadata: dict) -> str:
    """The error of a general.architecture that is not ARCHITECTURE."""
    found = str(metadata.get("general.architecture"))[:40]
    if "general.architecture" not in metadata:
        return (
            "general.architecture is missing; if this is a later part of a split file, give its first part's name back."
        )
    if found == "clip":
        return "general.architecture is 'clip': the vision tower (mmproj) alone; give the file of the language model."
    why = OTHER_ARCHITECTURES.get(found)
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
