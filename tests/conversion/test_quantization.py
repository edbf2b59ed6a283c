"""What is plain INT4 is read exactly, however a checkpoint says so; every other quantization is refused by name."""

import copy

import numpy as np
import pytest

from kimi_cpu import convert
from kimi_cpu.config import config_from_hf
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.conversion.tensors import FLOAT8_E4M3, Quantization, check_quantization
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import CheckpointError, ConfigError
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import bf16_to_f32, f32_to_bf16
from tests import tiny
from tests.config.test_config import published
from tests.conversion.test_source import fp8, int4_values, stored

EXPERT = "model.layers.1.mlp.experts.3.up_proj"
PACKED = ".weight_packed"
WIDTHS = {"hidden_size": 128, "moe_intermediate_size": 128}


def quantization(weights=None, group=None, **top):
    """QUANTIZATION with other keys in its only group's weights, in the group, and beside it."""
    out = copy.deepcopy(tiny.QUANTIZATION)
    out["config_groups"]["group_0"] |= group or {}
    out["config_groups"]["group_0"]["weights"] |= weights or {}
    return out | top


def write(directory, tensors, config, **changes):
    tiny.write(directory, config | {"quantization_config": quantization(**changes)}, tensors)
    return directory


def packed_modules(tensors):
    return [name.removesuffix(PACKED) for name in tensors if name.endswith(PACKED)]


def with_scales(tensors, change):
    """The tensors, with change(scales of a module) -> (dtype, array) applied to all scales."""
    return tensors | {f"{m}.weight_scale": change(tensors[f"{m}.weight_scale"][1]) for m in packed_modules(tensors)}


def of_every(width):
    """Scales that are the same in each group of so many inputs; (as they are stored then, as in groups of 32)."""
    config, tensors = stored(**WIDTHS)
    coarse = with_scales(tensors, lambda scales: ("BF16", scales[:, :: width // 32].copy()))
    fine = with_scales(tensors, lambda scales: ("BF16", np.repeat(scales[:, :: width // 32], width // 32, axis=1)))
    return config, coarse, fine


@pytest.mark.parametrize(
    ("width", "weights"),
    [(64, {"group_size": 64}), (128, {"group_size": 128}), (128, {"strategy": "channel", "group_size": None})],
)
def test_wide_groups_become_groups_of_32_with_the_same_scales(tmp_path, width, weights):
    config, coarse, fine = of_every(width)
    write(tmp_path / "wide", coarse, config, weights=weights)
    write(tmp_path / "plain", fine, config)
    with open_source(tmp_path / "wide") as source:
        linear = source.linear(EXPERT)
        np.testing.assert_array_equal(linear.scales, fine[EXPERT + ".weight_scale"][1])
        np.testing.assert_array_equal(linear.read(0, 128), int4_values(fine, EXPERT))
    files = []
    for name in ("wide", "plain"):
        convert(tmp_path / name, tmp_path / f"{name}.gguf")
        files.append(ModelFile.open(tmp_path / f"{name}.gguf"))
    for layer in (1, 2):
        np.testing.assert_array_equal(*(file.experts(layer)[0] for file in files))
    assert verify(tmp_path / "wide.gguf", tmp_path / "wide").scales == 2 * 8 * 3 * 128 * 4


def test_groups_of_several_sizes_may_stand_in_one_checkpoint(tmp_path):
    config, coarse, _ = of_every(64)
    _, plain = stored(**WIDTHS)
    mixed = plain | {name: coarse[name] for name in coarse if name.startswith("model.layers.2.")}
    groups = quantization()["config_groups"]
    groups["group_1"] = quantization({"group_size": 64})["config_groups"]["group_0"]
    write(tmp_path, mixed, config, config_groups=groups)
    with open_source(tmp_path) as source:
        assert source.linear(EXPERT).scales.shape == (128, 4)
        later = source.linear(EXPERT.replace("1.mlp", "2.mlp"))
        assert later.scales.shape == (128, 4) and (later.scales[:, 0::2] == later.scales[:, 1::2]).all()


@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_wider_scales_that_bfloat16_holds_are_the_same_scales(tmp_path, dtype):
    config, tensors = stored()
    numbers = {"F16": np.float16, "F32": np.float32}[dtype]
    tensors = with_scales(tensors, lambda bits: ("BF16", f32_to_bf16(np.ldexp(1.0, 1 + bits % 8).astype(np.float32))))
    wide = with_scales(tensors, lambda bits: (dtype, bf16_to_f32(bits).astype(numbers)))
    with open_source(write(tmp_path, wide, config)) as source:
        np.testing.assert_array_equal(source.linear(EXPERT).scales, tensors[EXPERT + ".weight_scale"][1])


@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_one_scale_that_bfloat16_cannot_hold_refuses_the_tensor_by_name(tmp_path, dtype):
    config, tensors = stored()
    scales = np.ones((32, 2), {"F16": np.float16, "F32": np.float32}[dtype])
    scales[3, 1] += 2**-8
    tensors[EXPERT + ".weight_scale"] = (dtype, scales)
    write(tmp_path / "in", tensors, config)
    with pytest.raises(CheckpointError, match=rf"safetensors: tensor {EXPERT}.weight_scale holds 1 {dtype} scales"):
        convert(tmp_path / "in", tmp_path / "out.gguf")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("order", ["weight", "static", None, False])
def test_an_order_of_calibration_that_leaves_columns_in_place_changes_nothing(tmp_path, order):
    config, tensors = stored()
    with open_source(write(tmp_path, tensors, config, weights={"actorder": order})) as source:
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


@pytest.mark.parametrize("index", [np.arange(64) // 32, np.full(64, -1)], ids=["in place", "never set"])
def test_group_indices_that_say_nothing_are_read(tmp_path, index):
    config, tensors = stored()
    tensors |= {f"{m}.weight_g_idx": ("I32", index.astype(np.int32)) for m in [EXPERT]}
    with open_source(write(tmp_path, tensors, config)) as source:
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


def test_scattered_groups_are_refused_by_tensor(tmp_path):
    config, tensors = stored()
    tensors[EXPERT + ".weight_g_idx"] = ("I32", (np.arange(64) % 2).astype(np.int32))
    source = open_source(write(tmp_path, tensors, config))
    with pytest.raises(CheckpointError, match=f"{EXPERT}.weight_g_idx scatters groups"):
        source.linear(EXPERT)


ZEROS = {  # as compressed-tensors stores them: nibbles along the rows, biased by 8; and plain, as it once did
    "packed": ("I32", np.full((4, 2), 0x88888888, np.uint32).view(np.int32)),
    "plain": ("I8", np.zeros((32, 2), np.int8)),
}


@pytest.mark.parametrize("zeros", ZEROS)
def test_zero_points_that_are_all_zero_are_read(tmp_path, zeros):
    config, tensors = stored()
    tensors[EXPERT + ".weight_zero_point"] = ZEROS[zeros]
    with open_source(write(tmp_path, tensors, config, weights={"symmetric": False})) as source:
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


@pytest.mark.parametrize("zeros", ZEROS)
def test_another_zero_point_is_refused_by_tensor(tmp_path, zeros):
    config, tensors = stored()
    dtype, array = ZEROS[zeros]
    array = array.copy()
    array[3, 1] += 1
    tensors[EXPERT + ".weight_zero_point"] = (dtype, array)
    source = open_source(write(tmp_path, tensors, config, weights={"symmetric": False}))
    with pytest.raises(CheckpointError, match=f"{EXPERT}.weight_zero_point has zero points other than 0"):
        source.linear(EXPERT)


@pytest.mark.parametrize("top", ["mixed-precision", "int-quantized", None])
def test_the_format_of_a_group_comes_before_that_of_the_whole(tmp_path, top):
    config, tensors = stored()
    write(tmp_path, tensors, config, group={"format": "pack-quantized"}, format=top)
    with open_source(tmp_path) as source:
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


@pytest.mark.parametrize("layout", ["native", "standard"])
def test_a_router_that_is_packed_has_its_exact_values(tmp_path, layout):
    config, tensors = stored()
    module = "model.layers.1.mlp.gate"
    tensors |= tiny.int4(module, bf16_to_f32(tensors.pop(f"{module}.weight")[1]))
    write(tmp_path / "in", tensors, config)
    convert(tmp_path / "in", tmp_path / "out.gguf", layout=layout)
    with ModelFile.open(tmp_path / "out.gguf") as file:
        np.testing.assert_array_equal(file.array("blk.1.ffn_gate_inp.weight"), int4_values(tensors, module))
    if layout == "native":
        verify(tmp_path / "out.gguf", tmp_path / "in")


def test_a_router_in_float8_is_multiplied_by_its_scales(tmp_path):
    config, tensors = stored("bf16")
    name = "model.layers.1.mlp.gate.weight"
    codes, scales = fp8(bf16_to_f32(tensors[name][1]), 128)
    tensors |= {name: ("F8_E4M3", codes), name + "_scale_inv": ("F32", scales)}
    tiny.write(tmp_path / "in", config, tensors)
    convert(tmp_path / "in", tmp_path / "out.gguf")
    with ModelFile.open(tmp_path / "out.gguf") as file:
        np.testing.assert_array_equal(file.array("blk.1.ffn_gate_inp.weight"), FLOAT8_E4M3[codes] * scales[0, 0])


@pytest.mark.parametrize("name", ["kimi_k2_thinking", "kimi_k2_5"])
def test_the_published_quantization_is_groups_of_32(name):
    assert check_quantization(published(name)) == Quantization(groups=frozenset({32}))
    assert config_from_hf(published(name))[1] == []


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ({"quant_method": "awq", "bits": 4}, "quant_method is 'awq' (AWQ)"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "quant_method is 'gptq' (GPTQ)"),
        ({"quant_method": ["x"]}, "quant_method"),
        ({"group_size": 64, "bits": 4, "mode": "affine"}, "MLX's (4 bits)"),
        (quantization(format="int-quantized"), "quantization_config.format is 'int-quantized'"),
        (quantization(group={"format": "naive-quantized"}), "group_0.format is 'naive-quantized'"),
        (quantization(kv_cache_scheme={"num_bits": 8}), "kv_cache_scheme"),
        (quantization(sparsity_config={"format": "sparse-24-bitmask"}), "sparsity_config"),
        (quantization(transform_config={"config_groups": {"R1": {}}}), "transform_config"),
        (quantization(config_groups={}), "config_groups"),
        (quantization(config_groups={"g": {}}), "weights"),
        (quantization({"num_bits": 8}), "num_bits is 8"),
        (quantization({"type": "float"}), "type is 'float'"),
        (quantization({"group_size": 16}), "group_size is 16"),
        (quantization({"group_size": True}), "group_size is True"),
        (quantization({"strategy": "tensor"}), "strategy is 'tensor'"),
        (quantization({"actorder": "group"}), "actorder is 'group'"),
        (quantization({"actorder": "dynamic"}), "actorder is 'dynamic'"),
        (quantization({"actorder": True}), "actorder is True"),
        (quantization({"dynamic": "local"}), "dynamic is 'local'"),
        (quantization(group={"input_activations": {"num_bits": 8}}), "input_activations"),
        ({"quant_method": "fp8", "fmt": "e5m2"}, "fmt"),
        ({"quant_method": "fp8", "fmt": "e4m3"}, "weight_block_size"),
    ],
)
def test_a_quantization_that_cannot_be_read_is_refused_by_file_key_and_remedy(tmp_path, found, key):
    config, tensors = stored()
    tiny.write(tmp_path, config | {"quantization_config": found}, tensors)
    with pytest.raises(ConfigError) as error:
        open_source(tmp_path)
    assert key in str(error.value) and str(tmp_path / "config.json") in str(error.value), error.value
