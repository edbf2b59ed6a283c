"""A deepseek2 GGUF file is read under the checkpoint's names, in every way that its tensors may be stored."""

import json
import os
from dataclasses import replace

import gguf
import numpy as np
import pytest

from kimi_cpu import convert
from kimi_cpu.config import config_from_hf
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.conversion.source import FloatLinear, Int4Linear
from kimi_cpu.conversion.standard import config_metadata
from kimi_cpu.conversion.tensors import can_decode
from kimi_cpu.conversion.verify import verify
from kimi_cpu.errors import CheckpointError, ConfigError, KimiError
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import bf16_to_f32
from tests import tiny

TYPES = gguf.GGMLQuantizationType
WIDTHS = {"hidden_size": 256, "intermediate_size": 256, "moe_intermediate_size": 64, "q_lora_rank": 256}
CONFIG = config_from_hf(tiny.BASE | WIDTHS)[0]
IDENTITY = {"general.name": "tiny", "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}
EXPERTS = ("gate", "up", "down")


@pytest.fixture(scope="module")
def values():
    """{checkpoint's name: f32} of a checkpoint with plain weights."""
    stored = tiny.tensors(tiny.BASE | WIDTHS, 0, "bf16")
    return {name: x if dtype == "F32" else bf16_to_f32(x) for name, (dtype, x) in stored.items()}


def tensors_of(values):
    """{GGUF name: f32} as llama.cpp's converter arranges them."""
    c, out = (
        CONFIG,
        {"token_embd.weight": values["model.embed_tokens.weight"], "output.weight": values["lm_head.weight"]},
    )
    out["output_norm.weight"] = values["model.norm.weight"]
    for layer in range(c.num_hidden_layers):
        p, s, a = f"blk.{layer}.", f"model.layers.{layer}.", f"model.layers.{layer}.self_attn."
        out[p + "attn_norm.weight"] = values[s + "input_layernorm.weight"]
        out[p + "ffn_norm.weight"] = values[s + "post_attention_layernorm.weight"]
        for ours, theirs in (("q_a", "q_a_proj"), ("q_b", "q_b_proj"), ("kv_a_mqa", "kv_a_proj_with_mqa")):
            out[f"{p}attn_{ours}.weight"] = values[f"{a}{theirs}.weight"]
        out[p + "attn_q_a_norm.weight"] = values[a + "q_a_layernorm.weight"]
        out[p + "attn_kv_a_norm.weight"] = values[a + "kv_a_layernorm.weight"]
        out[p + "attn_output.weight"] = values[a + "o_proj.weight"]
        heads = values[a + "kv_b_proj.weight"].reshape(c.num_attention_heads, -1, c.kv_lora_rank)
        out[p + "attn_k_b.weight"] = heads[:, : c.qk_nope_head_dim].transpose(0, 2, 1)
        out[p + "attn_v_b.weight"] = heads[:, c.qk_nope_head_dim :]
        if not c.is_moe_layer(layer):
            out |= {f"{p}ffn_{x}.weight": values[f"{s}mlp.{x}_proj.weight"] for x in EXPERTS}
            continue
        out[p + "ffn_gate_inp.weight"] = values[s + "mlp.gate.weight"]
        out[p + "exp_probs_b.bias"] = values[s + "mlp.gate.e_score_correction_bias"]
        for x in EXPERTS:
            out[f"{p}ffn_{x}_shexp.weight"] = values[f"{s}mlp.shared_experts.{x}_proj.weight"]
            stack = [values[f"{s}mlp.experts.{e}.{x}_proj.weight"] for e in range(c.n_routed_experts)]
            out[f"{p}ffn_{x}_exps.weight"] = np.stack(stack)
    return out


def write(path, tensors, kinds=None, metadata=None, raw=None, **split):
    """A GGUF file; kinds: {part of a tensor's name: type}, others F32. raw: {name: (blocks u8, type)}."""
    writer = gguf.GGUFWriter(path, "deepseek2", **split)
    for key, value in (config_metadata(CONFIG) | IDENTITY | (metadata or {})).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        writer.add_array(key, value) if isinstance(value, list) else add[type(value)](key, value)
    for name, x in tensors.items():
        if name in (raw or {}):
            writer.add_tensor(name, raw[name][0], raw_dtype=raw[name][1])
            continue
        kind = next((kind for part, kind in (kinds or {}).items() if part in name), TYPES.F32)
        data = np.ascontiguousarray(x)
        writer.add_tensor(name, data if kind == TYPES.F32 else gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rows(source, module):
    linear = source.linear(module)
    return linear.read(0, linear.rows)


def test_every_tensor_is_there_under_the_checkpoints_name(tmp_path, values):
    with open_source(write(tmp_path / "model.gguf", tensors_of(values))) as source:
        assert source.config == CONFIG and source.warnings == [] and source.name == "tiny"
        assert config_from_hf(json.loads(source.config_text))[0] == CONFIG
        for name, x in values.items():
            found = source.values(name) if x.ndim == 1 else rows(source, name.removesuffix(".weight"))
            np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q5_1"])
@pytest.mark.parametrize("part", ["ffn_up_exps", "attn_output", "token_embd"])
def test_blocks_are_decoded_as_the_gguf_package_does(tmp_path, values, kind, part):
    tensors = tensors_of(values)
    source = open_source(write(tmp_path / "model.gguf", tensors, {part: TYPES[kind]}))
    module, name, index = {
        "ffn_up_exps": ("model.layers.2.mlp.experts.5.up_proj", "blk.2.ffn_up_exps.weight", 5),
        "attn_output": ("model.layers.0.self_attn.o_proj", "blk.0.attn_output.weight", slice(None)),
        "token_embd": ("model.embed_tokens", "token_embd.weight", slice(None)),
    }[part]
    data = gguf.quants.quantize(np.ascontiguousarray(tensors[name]), TYPES[kind])
    exact = gguf.quants.dequantize(data, TYPES[kind])[index]
    found = rows(source, module)
    assert source.describe(module) == ("INT4" if kind == "Q4_0" else kind, *exact.shape)
    assert isinstance(source.linear(module), Int4Linear if kind == "Q4_0" else FloatLinear)
    np.testing.assert_array_equal(found, exact)
    assert source.warnings == []


def test_q4_0_scales_that_bfloat16_cannot_hold_are_rounded_and_counted(tmp_path, values):
    tensors, module = tensors_of(values), "model.layers.0.self_attn.o_proj"
    noise = 1 + np.random.default_rng(0).random(tensors["blk.0.attn_output.weight"].shape, np.float32) / 64
    tensors["blk.0.attn_output.weight"] = tensors["blk.0.attn_output.weight"] * noise
    data = gguf.quants.quantize(tensors["blk.0.attn_output.weight"], TYPES.Q4_0)
    exact = gguf.quants.dequantize(data, TYPES.Q4_0)
    with open_source(write(tmp_path / "model.gguf", tensors, {"blk.0.attn_output": TYPES.Q4_0})) as source:
        found = rows(source, module)
        rows(source, module)  # counted once
        np.testing.assert_allclose(found, exact, rtol=2**-8)
        changed = np.count_nonzero((found != exact).reshape(-1, 32).any(-1))
        assert source.warnings == [f"{changed} float16 scales of Q4_0 blocks had to be rounded to bfloat16."]


@pytest.mark.parametrize("kind", ["Q4_K", "Q6_K"])
def test_k_quants_are_decoded_as_the_gguf_package_does(tmp_path, values, kind):
    tensors, rng = tensors_of(values), np.random.default_rng(1)
    block, size = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    shape = tensors["blk.1.attn_q_b.weight"].shape
    data = rng.integers(0, 256, (shape[0], shape[1] // block * size), dtype=np.uint8)
    halves = {"Q4_K": (0, 2), "Q6_K": (size - 2,)}[kind]
    for at in halves:  # finite float16 scales
        data.reshape(-1, size)[:, at : at + 2] = np.array([0.01], np.float16).view(np.uint8)
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "deepseek2")
    for key, value in config_metadata(CONFIG).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add[type(value)](key, value)
    for name, x in tensors.items():
        if name == "blk.1.attn_q_b.weight":
            writer.add_tensor(name, data, raw_dtype=TYPES[kind])
        else:
            writer.add_tensor(name, np.ascontiguousarray(x))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open_source(path) as source:
        found = rows(source, "model.layers.1.self_attn.q_b_proj")
        np.testing.assert_array_equal(found, gguf.quants.dequantize(data, TYPES[kind]))


def fused(tensors):
    """The tensors as `convert_hf_to_gguf.py --fuse-gate-up-exps` arranges them: an expert's gate rows, then up's."""
    out = {name: x for name, x in tensors.items() if not name.endswith(("ffn_gate_exps.weight", "ffn_up_exps.weight"))}
    for layer in range(CONFIG.first_k_dense_replace, CONFIG.num_hidden_layers):
        p = f"blk.{layer}.ffn_"
        both = [tensors[f"{p}gate_exps.weight"], tensors[f"{p}up_exps.weight"]]
        out[f"{p}gate_up_exps.weight"] = np.concatenate(both, axis=1)
    return out


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_0"])
def test_fused_gate_and_up_experts_convert_to_the_same_model_file(tmp_path, values, kind):
    kinds, files = {"_exps": TYPES[kind]}, {}
    for name, tensors in (("apart", tensors_of(values)), ("fused", fused(tensors_of(values)))):
        write(tmp_path / f"{name}.gguf", tensors, kinds)
        convert(tmp_path / f"{name}.gguf", tmp_path / f"{name}-native.gguf")
        files[name] = ModelFile.open(tmp_path / f"{name}-native.gguf")
    for name in files["apart"].tensors:
        if name != "kimi-cpu.sha256":  # of the headers, which name their sources
            np.testing.assert_array_equal(files["fused"].view(name), files["apart"].view(name))


@pytest.mark.parametrize("name", ["exp_probs_b.bias", "exp_probs_b.weight", "exp_probs_b"])
def test_the_routers_bias_is_found_under_each_of_its_names(tmp_path, values, name):
    tensors = {n.replace("exp_probs_b.bias", name): x for n, x in tensors_of(values).items()}
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        bias = "model.layers.1.mlp.gate.e_score_correction_bias"
        np.testing.assert_array_equal(source.values(bias), values[bias])


def test_rotation_tables_inside_layers_are_left_out_and_said(tmp_path, values):
    tensors = tensors_of(values) | {"blk.0.rope_freqs.weight": np.zeros(4, np.float32)}
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        assert source.warnings == ["Unknown tensors are ignored: blk.0.rope_freqs.weight."]


def test_files_that_hold_kv_b_whole_and_in_halves_are_read(tmp_path, values):
    tensors, module = tensors_of(values), "model.layers.1.self_attn.kv_b_proj"
    for layer in range(CONFIG.num_hidden_layers):
        tensors[f"blk.{layer}.attn_kv_b.weight"] = values[f"model.layers.{layer}.self_attn.kv_b_proj.weight"]
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        np.testing.assert_array_equal(rows(source, module), values[module + ".weight"])


def test_files_from_before_the_split_of_kv_b_are_read(tmp_path, values):
    tensors = {n: x for n, x in tensors_of(values).items() if not n.endswith(("attn_k_b.weight", "attn_v_b.weight"))}
    for layer in range(CONFIG.num_hidden_layers):
        tensors[f"blk.{layer}.attn_kv_b.weight"] = values[f"model.layers.{layer}.self_attn.kv_b_proj.weight"]
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        module = "model.layers.1.self_attn.kv_b_proj"
        np.testing.assert_array_equal(rows(source, module), values[module + ".weight"])


def test_no_part_of_a_split_file_is_the_output_of_its_conversion(tmp_path, values):
    write(tmp_path / "model.gguf", tensors_of(values), split_max_tensors=20)
    parts = sorted(tmp_path.glob("*.gguf"))
    before = [part.read_bytes() for part in parts]
    os.link(parts[1], tmp_path / "linked.gguf")
    for out in (*parts, tmp_path / "linked.gguf"):
        for force in (False, True):
            with pytest.raises(ConfigError, match="is an input|never replaced"):
                convert(parts[-1], out, force=force)
    assert [part.read_bytes() for part in parts] == before


def test_a_split_file_is_read_whole_from_any_of_its_parts(tmp_path, values):
    write(tmp_path / "model.gguf", tensors_of(values), split_max_tensors=20)
    parts = sorted(tmp_path.glob("model-*.gguf"))
    assert len(parts) > 2
    with open_source(parts[1]) as source:
        assert [name for name, _, _ in source.files] == [p.name for p in parts]
        np.testing.assert_array_equal(rows(source, "lm_head"), values["lm_head.weight"])
    parts[2].unlink()
    with pytest.raises(CheckpointError, match=f"{parts[2].name}: part 3 of {len(parts)} is missing"):
        open_source(parts[0])
    parts[1].unlink()
    with pytest.raises(CheckpointError, match=f"{parts[1].name}: parts 2, 3 of {len(parts)} are missing"):
        open_source(parts[0])


@pytest.mark.parametrize("no_tensor_first_split", [False, True])
def test_a_split_file_converts_to_what_the_whole_one_does(tmp_path, values, no_tensor_first_split):
    split = {"split_max_tensors": 20, "small_first_shard": no_tensor_first_split}
    write(tmp_path / "whole.gguf", tensors_of(values), {"_exps": TYPES.Q4_0})
    write(tmp_path / "model.gguf", tensors_of(values), {"_exps": TYPES.Q4_0}, **split)
    convert(tmp_path / "whole.gguf", tmp_path / "from-whole")
    convert(sorted(tmp_path.glob("model-*-of-*.gguf"))[-1], tmp_path / "from-split")
    with ModelFile.open(tmp_path / "from-whole") as whole, ModelFile.open(tmp_path / "from-split") as split:
        for name in whole.tensors:
            if name != "kimi-cpu.sha256":
                np.testing.assert_array_equal(whole.view(name), split.view(name))


def test_parts_under_each_others_names_and_under_new_names_are_told(tmp_path, values):
    write(tmp_path / "model.gguf", tensors_of(values), split_max_tensors=40)
    parts = sorted(tmp_path.glob("model-*.gguf"))
    parts[1].rename(tmp_path / "other.gguf")
    with pytest.raises(CheckpointError, match=r"other\.gguf: is part 2 of \d but was renamed; call it NAME-00002-of-"):
        open_source(tmp_path / "other.gguf")
    parts[0].rename(parts[1])
    (tmp_path / "other.gguf").rename(parts[0])
    with pytest.raises(CheckpointError, match=r"00001-of-0000\d\.gguf: says that it is part 2 of"):
        open_source(parts[1])


@pytest.mark.parametrize("name", ["model-00000-of-00000.gguf", "model-00003-of-00002.gguf"])
def test_a_name_that_only_looks_like_a_part_is_a_name(tmp_path, values, name):
    with open_source(write(tmp_path / name, tensors_of(values))) as source:
        assert source.config == CONFIG


DECODABLE = [kind.name for kind in TYPES if kind.name not in ("F32", "F16", "BF16") and can_decode(kind.name)]


@pytest.mark.parametrize("kind", DECODABLE)
def test_experts_of_every_type_that_the_gguf_package_decodes_are_its_values(tmp_path, values, kind):
    name, tensors = "blk.2.ffn_up_exps.weight", tensors_of(values)
    block, size = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    experts, rows_, cols = tensors[name].shape
    data = np.random.default_rng(0).integers(0, 60, (experts, rows_, cols // block * size), np.uint8)  # finite f16
    write(tmp_path / "model.gguf", tensors, raw={name: (data, TYPES[kind])})
    with open_source(tmp_path / "model.gguf") as source:
        found = rows(source, "model.layers.2.mlp.experts.5.up_proj")
        exact = gguf.quants.dequantize(data[5], TYPES[kind])
        np.testing.assert_allclose(found, exact, rtol=2**-8 if kind == "Q4_0" else 0)


@pytest.mark.parametrize("kind", ["Q4_K", "IQ2_XXS", "IQ4_XS", "Q6_K"])
def test_experts_in_k_and_iq_quants_convert_within_the_error_of_8_bits(tmp_path, values, kind):
    name, tensors = "blk.2.ffn_up_exps.weight", tensors_of(values)
    block, size = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    experts, rows_, cols = tensors[name].shape
    data = np.random.default_rng(0).integers(0, 60, (experts, rows_, cols // block * size), np.uint8)
    write(tmp_path / "model.gguf", tensors, raw={name: (data, TYPES[kind])})
    convert(tmp_path / "model.gguf", tmp_path / "out.gguf")
    report = verify(tmp_path / "out.gguf", tmp_path / "model.gguf")
    assert max(error.relative for error in report.errors.values()) < 0.01


@pytest.mark.parametrize("kind", ["Q8_K", "I32", "F64"])
def test_experts_of_a_type_that_cannot_be_decoded_are_refused_with_what_to_take(tmp_path, values, kind):
    name, tensors = "blk.2.ffn_up_exps.weight", tensors_of(values)
    block, size = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    experts, rows_, cols = tensors[name].shape
    data = np.zeros((experts, rows_, cols // block * size), np.uint8)
    write(tmp_path / "model.gguf", tensors, raw={name: (data, TYPES[kind])})
    with pytest.raises(CheckpointError, match=rf"model\.gguf: tensor {name} has the type {kind}, .* such as Q8_0"):
        open_source(tmp_path / "model.gguf")


def test_without_an_output_matrix_the_embeddings_are_tied(tmp_path, values):
    tensors = tensors_of(values)
    del tensors["output.weight"]
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        assert source.config.tie_word_embeddings and source.warnings == []


def test_a_tokenizer_inside_comes_back_as_the_rank_file(tmp_path, values, tiny_checkpoint):
    from kimi_cpu.tokenizer import Tokenizer

    convert(tiny_checkpoint, tmp_path / "standard.gguf", layout="standard")
    with open_source(tmp_path / "standard.gguf") as source:
        assert source.ranks == (tiny_checkpoint / "tiktoken.model").read_bytes()
    convert(tmp_path / "standard.gguf", tmp_path / "native.gguf")
    tokenizer = Tokenizer.load(tmp_path / "native.gguf")
    before = Tokenizer.load(tiny_checkpoint)
    text = "<|im_user|>x<|im_middle|>\u00e9"
    assert tokenizer.encode(text) == before.encode(text) and tokenizer.special_tokens == before.special_tokens


def test_a_file_in_our_standard_layout_converts_back_bit_for_bit(tmp_path, tiny_checkpoint):
    convert(tiny_checkpoint, tmp_path / "direct.gguf", dense="bf16")
    convert(tiny_checkpoint, tmp_path / "standard.gguf", dense="bf16", layout="standard")
    convert(tmp_path / "standard.gguf", tmp_path / "back.gguf", dense="bf16")
    with ModelFile.open(tmp_path / "direct.gguf") as direct, ModelFile.open(tmp_path / "back.gguf") as back:
        assert direct.config == replace(back.config, eos_token_ids=direct.config.eos_token_ids)  # and end of turn
        for name in direct.tensors:
            if name != "kimi-cpu.sha256":
                np.testing.assert_array_equal(direct.view(name), back.view(name))


def _drop(name):
    return lambda tensors: tensors.pop(name)


BAD = {
    "missing": (_drop("blk.1.attn_output.weight"), ["blk.1.attn_output.weight", "missing"]),
    "missing experts": (_drop("blk.2.ffn_up_exps.weight"), ["blk.2.ffn_up_exps.weight", "missing"]),
    "missing keys": (_drop("blk.2.attn_k_b.weight"), ["blk.2.attn_kv_b.weight", "missing"]),
    "mis-shaped": (
        lambda t: t.update({"output_norm.weight": np.zeros(255, np.float32)}),
        ["model.gguf", "output_norm.weight", "[255]", "[256]"],
    ),
    "too few experts": (
        lambda t: t.update({"blk.1.ffn_up_exps.weight": t["blk.1.ffn_up_exps.weight"][:7]}),
        ["blk.1.ffn_up_exps.weight", "[7, 64, 256]", "8 experts"],
    ),
    "fused experts of an odd number of rows": (
        lambda t: t.update({"blk.1.ffn_gate_up_exps.weight": t["blk.1.ffn_up_exps.weight"][:, :63]}),
        ["blk.1.ffn_gate_up_exps.weight", "[8, 63, 256]"],
    ),
    "fused experts beside their halves": (
        lambda t: t.update({"blk.1.ffn_gate_up_exps.weight": np.repeat(t["blk.1.ffn_up_exps.weight"], 2, 1)}),
        ["blk.1.ffn_gate_up_exps.weight", "the same", "blk.1.ffn_gate_exps.weight"],
    ),
    "stranger in a layer": (
        lambda t: t.update({"blk.1.attn_sinks.weight": np.zeros(4, np.float32)}),
        ["blk.1.attn_sinks.weight"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tensors_are_refused_by_name(tmp_path, values, name):
    change, parts = BAD[name]
    tensors = tensors_of(values)
    change(tensors)
    with pytest.raises(CheckpointError) as error:
        open_source(write(tmp_path / "model.gguf", tensors))
    assert all(part in str(error.value) for part in parts), error.value


@pytest.mark.parametrize(
    ("tokens", "types", "text"),
    [
        ([1, 2, 3], [1, 1, 1], "tokenizer.ggml.tokens is corrupt"),
        (["a", "b"], ["x", "y"], "tokenizer.ggml.token_type is corrupt"),
        (["a", "b"], [1, 1, 1], "2 entries and tokenizer.ggml.token_type 3"),
        (["a", "\u4e00"], [1, 1], "is not in GPT-2's byte form"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused_by_file(tmp_path, values, tokens, types, text):
    keys = {"tokenizer.ggml.pre": "kimi-k2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    with pytest.raises(CheckpointError, match=rf"model\.gguf: .*{text}"):
        open_source(write(tmp_path / "model.gguf", tensors_of(values), metadata=keys))


def test_unknown_tensors_outside_layers_are_listed(tmp_path, values):
    tensors = tensors_of(values) | {"rope_freqs.weight": np.zeros(4, np.float32)}
    with open_source(write(tmp_path / "model.gguf", tensors)) as source:
        assert source.warnings == ["Unknown tensors are ignored: rope_freqs.weight."]


def test_a_native_file_is_no_source(tiny_file):
    with pytest.raises(CheckpointError, match="native file"):
        open_source(tiny_file)


def test_truncation_anywhere_is_one_sentence(tmp_path, values):
    data = write(tmp_path / "model.gguf", tensors_of(values)).read_bytes()
    rng = np.random.default_rng(0)
    for size in [0, 3, 4, 23, len(data) - 1, *rng.integers(24, len(data), 40).tolist()]:
        (tmp_path / "cut.gguf").write_bytes(data[:size])
        with pytest.raises(KimiError, match=r"cut\.gguf"):
            open_source(tmp_path / "cut.gguf")


def test_flipped_bytes_in_the_header_never_raise_anything_else(tmp_path, values):
    data = write(tmp_path / "model.gguf", tensors_of(values)).read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, 6000, 150).tolist():
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "flipped.gguf").write_bytes(changed)
        try:
            open_source(tmp_path / "flipped.gguf").close()
        except KimiError as error:
            assert "\n" not in str(error)
