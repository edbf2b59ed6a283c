"""Models from unusual checkpoints compute what the usual one does."""

import numpy as np

import kimi_cpu
from kimi_cpu import convert
from kimi_cpu.conversion.tensors import FLOAT8_E4M3
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import rows16
from tests import tiny

IDS = np.random.default_rng(0).integers(0, 160, 100).tolist()


def logits(source, folder):
    convert(source, folder / "model.gguf", dense="bf16", force=True)
    with kimi_cpu.load(folder / "model.gguf", compute="f32", kv="f32") as llm:
        return llm.logits(IDS)


def test_a_detour_over_the_standard_layout_gives_the_same_logits(tmp_path):
    directory = tiny.make(tmp_path / "in")
    convert(directory, tmp_path / "standard.gguf", dense="bf16", layout="standard")
    direct = logits(directory, tmp_path)
    np.testing.assert_array_equal(logits(tmp_path / "standard.gguf", tmp_path), direct)


def test_float8_experts_become_int4_within_one_step(tmp_path):
    config = tiny.BASE | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    tensors, rng = tiny.tensors(config, 0, "bf16"), np.random.default_rng(0)
    for name in [n for n in tensors if n.endswith("_proj.weight")]:
        tensors[name] = ("F8_E4M3", rng.integers(0, 0x70, tensors[name][1].shape, dtype=np.uint8))
        tensors[name + "_scale_inv"] = ("F32", np.full((1, 1), 0.001, np.float32))
    tiny.write(tmp_path / "in", config, tensors)
    convert(tmp_path / "in", tmp_path / "model.gguf", dense="bf16")
    with ModelFile.open(tmp_path / "model.gguf") as file:
        data, parts = file.experts(1)
        part = parts["up"]
        assert part.kind == "int4"
        found = rows16.unpack(
            rows16.Matrix(*part[:3], data[5, part.offset : part.offset + rows16.packed_bytes(*part[:3])])
        )
        exact = FLOAT8_E4M3[tensors["model.layers.1.mlp.experts.5.up_proj.weight"][1]] * np.float32(0.001)
        step = np.abs(exact).reshape(-1, 32).max(-1) / 7
        assert (np.abs(found - exact).reshape(-1, 32).max(-1) <= step).all()
        dense = rows16.unpack(file.matrix("blk.0.attn_output.weight"))
        exact = FLOAT8_E4M3[tensors["model.layers.0.self_attn.o_proj.weight"][1]] * np.float32(0.001)
        np.testing.assert_allclose(dense, exact, rtol=2**-8)
