"""transformers' DeepseekV3ForCausalLM in float32 on the exact weights of a checkpoint directory. Needs torch."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

IGNORED = {"architectures", "auto_map", "model_type", "quantization_config", "torch_dtype", "transformers_version"}


def load(directory: Path) -> DeepseekV3ForCausalLM:
    """The model of a checkpoint in Kimi K2's format, experts dequantised to (nibble - 8) * scale in float32."""
    raw = json.loads((directory / "config.json").read_text())
    config = DeepseekV3Config(
        **{k: v for k, v in raw.items() if k not in IGNORED}, attn_implementation="eager", num_mtp_layers=0
    )
    model = DeepseekV3ForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict(_state(_tensors(directory), config), strict=False)
    assert not unexpected, unexpected
    assert set(missing) <= ({"lm_head.weight"} if config.tie_word_embeddings else set()), missing
    model.tie_weights()
    return model


@torch.no_grad()
def logits(model: DeepseekV3ForCausalLM, ids: list[int]):
    """Teacher-forced logits f32[len(ids), vocab] as numpy."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy()


@torch.no_grad()
def greedy(model: DeepseekV3ForCausalLM, ids: list[int], count: int) -> list[int]:
    """The next count ids, recomputed from the start each time: no cache that could be wrong."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[-count:]


def _tensors(directory: Path) -> dict[str, torch.Tensor]:
    """All tensors in float32, INT4 ones dequantised under the name X.weight."""
    stored = {}
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, "pt") as shard:
            stored.update({name: shard.get_tensor(name) for name in shard.keys()})  # noqa: SIM118 (not a dict)
    out = {}
    for name, tensor in stored.items():
        if name.endswith(".weight_packed"):
            scale = stored[name.replace("packed", "scale")].float()
            shifts = torch.arange(0, 32, 4)
            nibbles = ((tensor.long()[..., None] >> shifts) & 15).flatten(1).float()
            out[name.replace("_packed", "")] = (nibbles - 8) * scale.repeat_interleave(32, dim=1)
        elif not name.endswith(("weight_scale", "weight_shape")):
            out[name] = tensor.float()
    return out


def _state(tensors: dict[str, torch.Tensor], config: DeepseekV3Config) -> dict[str, torch.Tensor]:
    """The state dict: routed experts are stacked, gate over up."""
    state = {name: t for name, t in tensors.items() if ".mlp.experts." not in name}
    for layer in range(config.first_k_dense_replace, config.num_hidden_layers):
        prefix = f"model.layers.{layer}.mlp.experts."
        parts = {
            kind: [tensors[f"{prefix}{e}.{kind}_proj.weight"] for e in range(config.n_routed_experts)]
            for kind in ("gate", "up", "down")
        }
        pairs = zip(parts["gate"], parts["up"], strict=True)
        state[prefix + "gate_up_proj"] = torch.stack([torch.cat(p) for p in pairs])
        state[prefix + "down_proj"] = torch.stack(parts["down"])
    return state
