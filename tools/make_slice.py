"""Makes a checkpoint of Kimi K2's widths with few layers and experts, in the true on-disk format, for measurements.

    python tools/make_slice.py DIRECTORY [--layers 3] [--experts 48] [--expert-width 2048] [--vocab 8192]
        [--router-bias 1.5] [--native FILE] [--standard FILE]

Weights are random with small gains, so that rounding does not flip the router's choices and quantised engines can be
compared: its bias alone names the experts, nearly the same ones for every token. To measure prompts, or steps of many
sequences, `--router-bias 0` lets tokens choose, and all experts alike, as in a trained model. One dense layer, the
others MoE. Tensors are drawn and written one by one: memory stays below 3 GiB.
`--layers 9 --experts 384 --expert-width 64` makes a router's choices as many as K2's in 8 layers of 5 GB.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kimi_cpu.quant import f32_to_bf16
from kimi_cpu.quant.rows16 import GROUP

CONFIG = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "kimi_k2",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "routed_scaling_factor": 2.827,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "hidden_act": "silu",
    "max_position_embeddings": 262144,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "rope_scaling": {
        "type": "yarn",
        "factor": 64.0,
        "original_max_position_embeddings": 4096,
        "beta_fast": 1.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "attention_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
QUANTIZATION = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP},
        }
    },
}
UP_GAIN, DOWN_GAIN, O_GAIN, Q_GAIN, ROUTER_GAIN, HEAD_GAIN = 1.5, 0.35, 0.7, 0.5, 0.5, 3.0
ROUTER_BIAS = 1.5  # scores are 0.5 +- 0.12
NIBBLE_STD = 2.9  # standard deviation of (nibble - 8) in weights quantised by absmax / 7.5
POOL_BYTES = 64 << 20  # random bytes are drawn once and read from changing places: drawing is slower than a disk

# (name, safetensors dtype, shape)
Spec = tuple[str, str, tuple[int, ...]]
DTYPES = {"BF16": np.uint16, "F32": np.float32, "I32": np.int32}


class Weights:
    """Draws tensors by name. The same seed gives the same checkpoint."""

    def __init__(self, seed: int, router_bias: float):
        self._router_bias = router_bias
        self._rng = np.random.default_rng(seed)
        normal = self._rng.standard_normal(POOL_BYTES // 4, dtype=np.float32)
        self._normal = normal
        levels = np.clip(np.rint(self._rng.standard_normal(POOL_BYTES) * NIBBLE_STD), -7, 7) + 8
        nibbles = levels.astype(np.uint8)
        self._nibbles = nibbles[0::2] | (nibbles[1::2] << 4)  # two columns a byte

    def draw(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        """The tensor's elements as numpy stores them (BF16 as its bits)."""
        count = int(np.prod(shape))
        if name.endswith("weight_packed"):
            return self._take(self._nibbles, 4 * count).view(np.int32).reshape(shape)
        if name.endswith("weight_scale"):
            std = _gain(name) / (shape[1] * GROUP) ** 0.5 / NIBBLE_STD
            return f32_to_bf16(std * (1 + 0.1 * np.abs(self._take(self._normal, count)))).reshape(shape)
        if name.endswith("weight_shape"):
            raise AssertionError("written by its owner")
        values = self._take(self._normal, count).reshape(shape)
        if name.endswith("e_score_correction_bias"):
            return (self._router_bias * values).astype(np.float32)
        if name.endswith("norm.weight"):
            return f32_to_bf16(1 + 0.2 * values)
        gain = 1.0 if "embed_tokens" in name else _gain(name) / shape[-1] ** 0.5
        return f32_to_bf16(gain * values)

    def _take(self, pool: np.ndarray, count: int) -> np.ndarray:
        """count elements of a pool, from a random place on, around its end as often as needed."""
        start = int(self._rng.integers(len(pool) // 64)) * 64
        if start + count <= len(pool):
            return pool[start : start + count]
        return np.resize(np.roll(pool, -start), count)


def specs(config: dict) -> Iterator[Spec]:
    """All tensors, layer by layer."""
    c = config
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    qk, kv = c["qk_nope_head_dim"] + c["qk_rope_head_dim"], c["qk_nope_head_dim"] + c["v_head_dim"]
    yield "model.embed_tokens.weight", "BF16", (c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        a = p + "self_attn."
        yield p + "input_layernorm.weight", "BF16", (hidden,)
        yield a + "q_a_proj.weight", "BF16", (c["q_lora_rank"], hidden)
        yield a + "q_a_layernorm.weight", "BF16", (c["q_lora_rank"],)
        yield a + "q_b_proj.weight", "BF16", (heads * qk, c["q_lora_rank"])
        yield a + "kv_a_proj_with_mqa.weight", "BF16", (c["kv_lora_rank"] + c["qk_rope_head_dim"], hidden)
        yield a + "kv_a_layernorm.weight", "BF16", (c["kv_lora_rank"],)
        yield a + "kv_b_proj.weight", "BF16", (heads * kv, c["kv_lora_rank"])
        yield a + "o_proj.weight", "BF16", (hidden, heads * c["v_head_dim"])
        yield p + "post_attention_layernorm.weight", "BF16", (hidden,)
        if layer < c["first_k_dense_replace"]:
            yield from _mlp(p + "mlp.", c["intermediate_size"], hidden)
            continue
        yield p + "mlp.gate.weight", "BF16", (c["n_routed_experts"], hidden)
        yield p + "mlp.gate.e_score_correction_bias", "F32", (c["n_routed_experts"],)
        for expert in range(c["n_routed_experts"]):
            yield from _packed_mlp(f"{p}mlp.experts.{expert}.", c["moe_intermediate_size"], hidden)
        yield from _mlp(p + "mlp.shared_experts.", c["moe_intermediate_size"] * c["n_shared_experts"], hidden)
    yield "model.norm.weight", "BF16", (hidden,)
    yield "lm_head.weight", "BF16", (c["vocab_size"], hidden)


def _mlp(prefix: str, width: int, hidden: int) -> Iterator[Spec]:
    yield prefix + "gate_proj.weight", "BF16", (width, hidden)
    yield prefix + "up_proj.weight", "BF16", (width, hidden)
    yield prefix + "down_proj.weight", "BF16", (hidden, width)


def _packed_mlp(prefix: str, width: int, hidden: int) -> Iterator[Spec]:
    for part, rows, cols in (("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)):
        yield f"{prefix}{part}_proj.weight_packed", "I32", (rows, cols // 8)
        yield f"{prefix}{part}_proj.weight_scale", "BF16", (rows, cols // GROUP)
        yield f"{prefix}{part}_proj.weight_shape", "I32", (2,)


def _gain(name: str) -> float:
    gains = {
        "down_proj": DOWN_GAIN,
        "o_proj": O_GAIN,
        "q_b_proj": Q_GAIN,
        "mlp.gate.": ROUTER_GAIN,
        "lm_head": HEAD_GAIN,
    }
    return next((gain for part, gain in gains.items() if part in name), UP_GAIN)


def write(directory: Path, config: dict, seed: int, router_bias: float = ROUTER_BIAS) -> None:
    """The whole checkpoint, a shard a layer. router_bias: standard deviation of e_score_correction_bias."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    shards: dict[int, list[Spec]] = {}
    for spec in specs(config):
        layer = int(spec[0].split(".")[2]) if ".layers." in spec[0] else 0
        shards.setdefault(layer, []).append(spec)
    weights, weight_map = Weights(seed, router_bias), {}
    for number, shard in shards.items():
        file = f"model-{number + 1:05d}-of-{len(shards):06d}.safetensors"
        _write_shard(directory / file, shard, weights)
        weight_map.update({name: file for name, _, _ in shard})
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def _write_shard(path: Path, shard: list[Spec], weights: Weights) -> None:
    header, at = {}, 0
    for name, dtype, shape in shard:
        nbytes = int(np.prod(shape)) * np.dtype(DTYPES[dtype]).itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        packed = (0, 0)
        for name, dtype, shape in shard:
            if name.endswith("weight_shape"):
                array = np.array([packed[0], packed[1] * 8], np.int32)
            else:
                array = weights.draw(name, dtype, shape)
                packed = shape
            if name.endswith("weight_scale"):
                packed = (shape[0], shape[1] * GROUP // 8)
            file.write(memoryview(np.ascontiguousarray(array)).cast("B"))


def slice_config(layers: int, experts: int, expert_width: int, vocab: int) -> dict:
    """The checkpoint's config.json. ValueError: groups of weights that share a scale do not fill an expert's width."""
    if expert_width < 1 or expert_width % GROUP:
        raise ValueError(f"an expert's width is {expert_width}; it must be a multiple of {GROUP}")
    return CONFIG | {
        "num_hidden_layers": layers,
        "n_routed_experts": experts,
        "moe_intermediate_size": expert_width,
        "vocab_size": vocab,
        "quantization_config": QUANTIZATION,
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--layers", type=int, default=3, help="layers, the first of them dense")
    parser.add_argument("--experts", type=int, default=48, help="of a layer")
    parser.add_argument(
        "--expert-width", type=int, default=CONFIG["moe_intermediate_size"], help="moe_intermediate_size"
    )
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--router-bias", type=float, default=ROUTER_BIAS, help="spread of e_score_correction_bias")
    parser.add_argument("--native", type=Path, help="convert to the native layout as well")
    parser.add_argument("--standard", type=Path, help="convert to llama.cpp's layout as well")
    args = parser.parse_args()
    try:
        config = slice_config(args.layers, args.experts, args.expert_width, args.vocab)
    except ValueError as e:
        parser.error(str(e))
    write(args.directory, config, args.seed, args.router_bias)
    from kimi_cpu import convert

    for out, layout in ((args.native, "native"), (args.standard, "standard")):
        if out is not None:
            convert(args.directory, out, layout=layout, force=True)


if __name__ == "__main__":
    main()
