"""A trained network as a checkpoint in Kimi K2's own format: INT4 pack-quantized experts, BF16 for the rest."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from kimi_cpu.config import config_from_hf
from kimi_cpu.tokenizer import Tokenizer

from .fake_quant import int4
from .network import Attention, Mlp, Moe, Network
from .recipe import CONFIG

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
                "actorder": None,
            },
        }
    },
}
TEMPERATURE = 0.15  # what one in twenty would draw at 1 is then one of some hundred millions; stories still differ
REPETITION_DETECTION = {"min_pattern_size": 16, "max_pattern_size": 256, "min_count": 4}  # a small model may circle
Tensors = dict[str, torch.Tensor]


def load_network(path: Path) -> Network:
    """The network of a checkpoint's network.pt, ready to be evaluated."""
    network = Network(config_from_hf(CONFIG)[0])
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return network.eval()


def export(network: Network, tokenizer_directory: Path, out: Path, licence: Path | None = None) -> Path:
    """Writes the checkpoint of a network; returns its directory. licence: a file that goes with the weights."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("tiktoken.model", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tokenizer_directory / name, out / name)
    if licence is not None:
        shutil.copy(licence, out / "LICENSE")
    special = Tokenizer.load(out).special_tokens
    ends = {"bos_token_id": special["[BOS]"], "eos_token_id": special["<|im_end|>"], "pad_token_id": special["[PAD]"]}
    config = CONFIG | ends | {"torch_dtype": "bfloat16", "quantization_config": QUANTIZATION}
    generation = {
        "eos_token_id": special["<|im_end|>"],
        "max_length": CONFIG["max_position_embeddings"],
        "temperature": TEMPERATURE,
        "repetition_detection": REPETITION_DETECTION,
    }
    for name, value in (("config.json", config), ("generation_config.json", generation)):
        (out / name).write_text(json.dumps(value, indent=2) + "\n")
    save_file(tensors(network), out / "model.safetensors", {"format": "pt"})
    return out


def tensors(network: Network) -> Tensors:
    """All tensors under the checkpoint's names."""
    out = {"model.embed_tokens.weight": network.embed_tokens}
    for i, layer in enumerate(network.layers):
        p = f"model.layers.{i}."
        out |= _attention(p, layer.attention)
        out[p + "post_attention_layernorm.weight"] = layer.post_attention_layernorm
        out |= _moe(p + "mlp.", layer.mlp) if isinstance(layer.mlp, Moe) else _mlp(p + "mlp.", layer.mlp)
    out |= {"model.norm.weight": network.norm, "lm_head.weight": network.lm_head}
    return {name: _stored(name, value.detach()) for name, value in out.items()}


def _stored(name: str, value: torch.Tensor) -> torch.Tensor:
    """The tensor in the type that the checkpoint gives it."""
    as_it_is = name.endswith(("e_score_correction_bias", "weight_packed", "weight_shape"))
    return (value if as_it_is else value.bfloat16()).contiguous().clone()


def _attention(p: str, attention: Attention) -> Tensors:
    out = {p + "input_layernorm.weight": attention.input_layernorm}
    names = "q_a_proj q_a_layernorm q_b_proj kv_a_proj_with_mqa kv_a_layernorm kv_b_proj o_proj".split()
    return out | {f"{p}self_attn.{name}.weight": getattr(attention, name) for name in names}


def _mlp(p: str, mlp: Mlp) -> Tensors:
    gate, up = mlp.gate_up.chunk(2)
    return {p + "gate_proj.weight": gate, p + "up_proj.weight": up, p + "down_proj.weight": mlp.down}


def _moe(p: str, moe: Moe) -> Tensors:
    out = {p + "gate.weight": moe.gate, p + "gate.e_score_correction_bias": moe.e_score_correction_bias}
    for e in range(moe.c.n_routed_experts):
        gate, up = moe.gate_up[e].chunk(2)
        for part, weights in (("gate", gate), ("up", up), ("down", moe.down[e])):
            out |= packed(f"{p}experts.{e}.{part}_proj", weights)
    return out | _mlp(p + "shared_experts.", moe.shared)


def packed(module: str, weights: torch.Tensor) -> Tensors:
    """A matrix f32[R, C] in compressed-tensors' pack-quantized INT4: the very values that training saw."""
    codes, scales = int4(weights.detach())
    nibbles = (codes.flatten(-2).long() + 8).unflatten(-1, (-1, 8))
    words = (nibbles << torch.arange(0, 32, 4)).sum(-1)  # nibble k of word j is column 8j + k
    return {
        module + ".weight_packed": torch.where(words >= 1 << 31, words - (1 << 32), words).int(),
        module + ".weight_scale": scales[..., 0],
        module + ".weight_shape": torch.tensor(weights.shape, dtype=torch.int32),
    }
