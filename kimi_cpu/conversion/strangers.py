"""What is said of a checkpoint directory that holds something else than a model of this architecture."""

from collections.abc import Iterable
from pathlib import Path

from ..filetypes import PYTORCH

OTHERS = {  # part of a tensor's name: whose it is
    "lora_": "a LoRA adapter",
    ".switch_mlp.": "MLX",
    ".qweight": "GPTQ or AWQ",
    ".qzeros": "GPTQ or AWQ",
    ".g_idx": "GPTQ",
    ".scales": "MLX, GPTQ or AWQ",
    ".biases": "MLX",
    ".absmax": "bitsandbytes",
    ".quant_map": "bitsandbytes",
    ".weight_scale_2": "NVIDIA ModelOpt",
    ".weight_global_scale": "FP4",
    ".trellis": "EXL3",
}


def instead(directory: Path) -> str:
    """What to give in place of a directory that has no config.json."""
    if (directory / "adapter_config.json").exists():
        return "this is a LoRA adapter; merge it into its model first, and give that."
    snapshot = next(iter(sorted(directory.glob("snapshots/*/config.json"))), None)
    if snapshot is not None:
        return f"this is a folder of the hub's cache; give {snapshot.parent}."
    gguf = next(iter(sorted(directory.glob("*.gguf"))), None)
    if gguf is not None:
        return f"there are GGUF files; give one of them, such as {gguf}."
    return "give the directory of a Hugging Face checkpoint."


def other_weights(directory: Path) -> str:
    """What a directory holds in place of safetensors, and what to do: the end of a sentence."""
    for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt"):
        file = next(iter(sorted(directory.glob(pattern))), None)
        if file is not None:
            return f", but PyTorch's {file.name}; {PYTORCH}."
    if next(directory.glob("**/*.incomplete"), None) is not None:
        return ", and a download in it is not finished; go on with it (hf download)."
    gguf = next(iter(sorted(directory.glob("*.gguf"))), None)
    if gguf is not None:
        return f"; there are GGUF files: give one of them, such as {gguf}."
    return "; download them (hf download)."


def stranger(name: str) -> str:
    """What is said of a tensor inside a layer that the configuration does not know."""
    whose = next((whose for part, whose in OTHERS.items() if part in name), None)
    if whose is None:
        return "is none that this configuration has; config.json may be another's."
    return f"is of {whose}, which cannot be read; take the checkpoint as its publisher released it, or one in BF16."


def no_language_model(path: Path, names: Iterable[str], num_vision: int) -> str:
    """What is said of tensors none of which is the language model's; num_vision: those of a vision tower."""
    if num_vision:
        return (
            f"{path}: holds the {num_vision} tensors of a vision tower and no language model; "
            "download the checkpoint's other shards."
        )
    first = next(iter(names), "none at all")
    return f"{path}: no tensor is one of this architecture's ({first} is the first); is it another model's checkpoint?"
