"""quantization_config of a checkpoint: what the converter can read, and everything else refused by name."""

from ..errors import ConfigError

INT4_WEIGHTS = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}


def quantization_of(hf: dict) -> dict | None:
    """quantization_config of a parsed config.json: of the model, or of the text model inside (Kimi K2.5)."""
    text = hf.get("text_config")
    return hf.get("quantization_config") or (text.get("quantization_config") if isinstance(text, dict) else None)


def check_quantization(hf: dict) -> tuple[int, int]:
    """(rows, columns) of one FP8 scale block; (128, 128) when nothing is in FP8. hf: the parsed config.json.

    Raises ConfigError, naming the key, for a quantization that the converter cannot read.
    """
    quantization = quantization_of(hf)
    if quantization is None:
        return 128, 128
    if not isinstance(quantization, dict):
        raise ConfigError("quantization_config is not an object.")
    method = quantization.get("quant_method")
    if method == "fp8":
        return _fp8(quantization)
    if method != "compressed-tensors":
        raise ConfigError(f"quantization_config.quant_method is {method!r}; compressed-tensors and fp8 can be read.")
    _compressed_tensors(quantization)
    return 128, 128


def _fp8(quantization: dict) -> tuple[int, int]:
    if quantization.get("fmt", "e4m3") != "e4m3":
        raise ConfigError(f"quantization_config.fmt is {quantization['fmt']!r}; only 'e4m3' can be read.")
    block = quantization.get("weight_block_size")
    if not isinstance(block, list) or len(block) != 2 or not all(type(n) is int and n > 0 for n in block):
        raise ConfigError(f"quantization_config.weight_block_size is {block!r}; two whole numbers are needed.")
    return block[0], block[1]


def _compressed_tensors(quantization: dict) -> None:
    if quantization.get("format") != "pack-quantized":
        found = quantization.get("format")
        raise ConfigError(f"quantization_config.format is {found!r}; only 'pack-quantized' can be read.")
    if quantization.get("kv_cache_scheme") is not None:
        raise ConfigError("quantization_config.kv_cache_scheme is set; the cache's type is chosen when the model runs.")
    groups = quantization.get("config_groups")
    if not isinstance(groups, dict) or not groups:
        raise ConfigError("quantization_config.config_groups names no group.")
    for name, group in groups.items():
        where = f"quantization_config.config_groups.{name}"
        weights = group.get("weights") if isinstance(group, dict) else None
        if not isinstance(weights, dict):
            raise ConfigError(f"{where}.weights is missing.")
        for key, wanted in {**INT4_WEIGHTS, "actorder": None, "block_structure": None}.items():
            if weights.get(key) != wanted:
                raise ConfigError(f"{where}.weights.{key} is {weights.get(key)!r}; only {wanted!r} can be read.")
        for key in ("input_activations", "output_activations"):
            if group.get(key) is not None:
                raise ConfigError(f"{where}.{key} is set; only weights may be quantised in the checkpoint.")
