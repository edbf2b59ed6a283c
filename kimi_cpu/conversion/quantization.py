"""quantization_config of a checkpoint: what the converter can read, and everything else refused by name."""

from typing import NamedTuple

from ..errors import ConfigError, shown
from .decode import GROUP

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


class Quantization(NamedTuple):
    """How matrices are stored. scale_block: rows and columns of one FP8 scale. groups: how many inputs of a row may
    share an INT4 scale; None: all of them."""

    scale_block: tuple[int, int] = (128, 128)
    groups: frozenset[int | None] = frozenset({GROUP})


def quantization_of(hf: dict) -> dict | None:
    """quantization_config of a parsed config.json: of the model, or of the text model inside (Kimi K2.5)."""
    text = hf.get("text_config")
    return hf.get("quantization_config") or (text.get("quantization_config") if isinstance(text, dict) else None)


def check_quantization(hf: dict) -> Quantization:
    """What the parsed config.json says. Raises ConfigError, naming the key, for what the converter cannot read."""
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
