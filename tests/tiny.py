"""Tiny random checkpoints in the true on-disk format of Kimi K2, of any configuration, with numpy alone."""

import json
from pathlib import Path

import numpy as np

from kimi_cpu.quant import bf16_to_f32, f32_to_bf16

YARN = {
    "type": "yarn",
    "factor": 64.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 1.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
BASE = {  # a network that is small in every direction; change what a test is about
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "vocab_size": 160,
    "hidden_size": 64,
    "intermediate_size": 96,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "n_shared_experts": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "routed_scaling_factor": 2.827,
    "kv_lora_rank": 32,
    "q_lora_rank": 48,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "rope_scaling": YARN,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
    "num_nextn_predict_layers": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
QUANTIZATION = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "kv_cache_scheme": None,
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "input_activations": None,
            "output_activations": None,
            "weights": {
                "num_bits": 4,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": 32,
                "dynamic": False,
                "observer": "minmax",
                "observer_kwargs": {},
                "actorder": None,
                "block_structure": None,
            },
        }
    },
}
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["days"],
            "additionalProperties": False,
        },
    },
}

# A tensor in a checkpoint: its safetensors dtype and its elements as numpy stores them (BF16 as its bits in uint16).
Stored = tuple[str, np.ndarray]


def make(directory: Path, seed: int = 0, experts: str = "int4", shards: int = 2, **overrides) -> Path:
    """Writes a checkpoint; returns the directory. experts: "int4" or "bf16". overrides: keys of config.json."""
    config = BASE | overrides
    config["num_key_value_heads"] = config["num_attention_heads"]
    if experts == "int4":
        config["quantization_config"] = QUANTIZATION
    write(directory, config, tensors(config, seed, experts), shards)
    return directory


def tensors(config: dict, seed: int, experts: str) -> dict[str, Stored]:
    """All tensors of a configuration, in checkpoint order."""
    rng = np.random.default_rng(seed)
    c, out = config, {}
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    qk = c["qk_nope_head_dim"] + c["qk_rope_head_dim"]

    def weight(name: str, rows: int, cols: int, gain: float = 1.5) -> None:
        out[name + ".weight"] = _bf16(rng.standard_normal((rows, cols)) * gain / cols**0.5)

    def norm(name: str, size: int) -> None:
        out[name + ".weight"] = _bf16(1 + 0.2 * rng.standard_normal(size))

    def mlp(prefix: str, width: int, pack: bool = False) -> None:
        for part, rows, cols in (("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)):
            if pack:
                values = rng.standard_normal((rows, cols)) * 1.5 / cols**0.5
                out.update(int4(f"{prefix}{part}_proj", values.astype(np.float32)))
            else:
                weight(f"{prefix}{part}_proj", rows, cols)

    out["model.embed_tokens.weight"] = _bf16(rng.standard_normal((c["vocab_size"], hidden)))
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        a = p + "self_attn."
        norm(p + "input_layernorm", hidden)
        if c["q_lora_rank"]:
            weight(a + "q_a_proj", c["q_lora_rank"], hidden)
            norm(a + "q_a_layernorm", c["q_lora_rank"])
            weight(a + "q_b_proj", heads * qk, c["q_lora_rank"])
        else:
            weight(a + "q_proj", heads * qk, hidden)
        weight(a + "kv_a_proj_with_mqa", c["kv_lora_rank"] + c["qk_rope_head_dim"], hidden)
        norm(a + "kv_a_layernorm", c["kv_lora_rank"])
        weight(a + "kv_b_proj", heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), c["kv_lora_rank"])
        weight(a + "o_proj", hidden, heads * c["v_head_dim"])
        norm(p + "post_attention_layernorm", hidden)
        if layer < c["first_k_dense_replace"]:
            mlp(p + "mlp.", c["intermediate_size"])
            continue
        weight(p + "mlp.gate", c["n_routed_experts"], hidden, 1.0)
        bias = 0.1 * rng.standard_normal(c["n_routed_experts"])
        out[p + "mlp.gate.e_score_correction_bias"] = ("F32", bias.astype(np.float32))
        for expert in range(c["n_routed_experts"]):
            mlp(f"{p}mlp.experts.{expert}.", c["moe_intermediate_size"], pack=experts == "int4")
        if c["n_shared_experts"]:
            mlp(p + "mlp.shared_experts.", c["moe_intermediate_size"] * c["n_shared_experts"])
    norm("model.norm", hidden)
    if not c["tie_word_embeddings"]:
        weight("lm_head", c["vocab_size"], hidden, 3.0)
    return out


def int4(module: str, values: np.ndarray) -> dict[str, Stored]:
    """The three tensors of a matrix f32[R, C] in compressed-tensors' pack-quantized INT4, group 32."""
    rows, cols = values.shape
    groups = values.reshape(rows, cols // 32, 32)
    scales = f32_to_bf16(np.abs(groups).max(-1) / np.float32(7.5))
    s = bf16_to_f32(scales)[..., None]
    nibbles = np.clip(np.rint(groups / np.where(s == 0, 1, s)) + 8, 0, 15).astype(np.uint32).reshape(rows, cols // 8, 8)
    packed = (nibbles << (4 * np.arange(8, dtype=np.uint32))).sum(-1, dtype=np.uint32).view(np.int32)
    return {
        module + ".weight_packed": ("I32", packed),
        module + ".weight_scale": ("BF16", scales),
        module + ".weight_shape": ("I32", np.array([rows, cols], np.int32)),
    }


def write(directory: Path, config: dict, stored: dict[str, Stored], shards: int = 2) -> None:
    """Sharded safetensors with an index, and config.json. With one shard there is no index."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    names = list(stored)
    parts = [names[i * len(names) // shards : (i + 1) * len(names) // shards] for i in range(shards)]
    files = {}
    for number, part in enumerate(parts, 1):
        file = "model.safetensors" if shards == 1 else f"model-{number:05d}-of-{shards:06d}.safetensors"
        write_shard(directory / file, {name: stored[name] for name in part})
        files.update(dict.fromkeys(part, file))
    if shards > 1:
        (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}, indent=1))


def write_shard(path: Path, stored: dict[str, Stored]) -> None:
    """One safetensors file."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, array) in stored.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in stored.values():
            file.write(np.ascontiguousarray(array).tobytes())


def _bf16(values: np.ndarray) -> Stored:
    return "BF16", f32_to_bf16(values.astype(np.float32))
