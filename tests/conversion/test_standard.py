"""The standard layout is a deepseek2 file: every value is where llama.cpp looks for it, and it computes the same."""

import gguf
import numpy as np
import pytest

import kimi_cpu
from kimi_cpu import convert
from kimi_cpu.config import config_from_gguf, config_from_hf
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.conversion.gguf_source import gguf_name
from kimi_cpu.conversion.standard import config_metadata, merges
from kimi_cpu.conversion.tensors import linears, vectors
from kimi_cpu.errors import CheckpointError, ConfigError
from kimi_cpu.quant import bf16_to_f32, f32_to_bf16
from tests import tiny

CALM = {
    "o_proj": 0.47,
    "q_b_proj": 0.33,
    "down_proj": 0.23,
}  # gains that do not amplify rounding
POSITIONS = 200


def calm(directory, **overrides):
    """A checkpoint whose logits hardly move when activations are rounded."""
    config = tiny.BASE | {"quantization_config": tiny.QUANTIZATION, "rms_norm_eps": 1e-6} | overrides
    config["num_key_value_heads"] = config["num_attention_heads"]
    tensors = tiny.tensors(config, 0, "int4")
    for name, (dtype, x) in list(tensors.items()):
        gain = next((g for part, g in CALM.items() if part in name), None)
        if gain and dtype == "BF16":  # a matrix, or the scales of a packed one
            tensors[name] = (dtype, f32_to_bf16(bf16_to_f32(x) * np.float32(gain)))
        if name.endswith("e_score_correction_bias"):
            tensors[name] = (dtype, x * 15)
    tiny.write(directory, config, tensors)
    return directory


def tensors_of(path):
    """{name: f32} of a GGUF file, by the gguf package alone."""
    reader = gguf.GGUFReader(path)
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}, reader


def llama_logits(path, ids):
    llama_cpp = pytest.importorskip("llama_cpp")
    model = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False, yarn_beta_fast=1.0, n_threads=2)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    model.close()
    return logits


@pytest.mark.parametrize("overrides", [{}, {"num_attention_heads": 3, "kv_lora_rank": 36, "qk_nope_head_dim": 20}])
def test_every_value_is_where_llama_cpp_looks_for_it(tmp_path, overrides):
    """Q4_0 and BF16 hold the checkpoint's values exactly, so nothing may differ by a bit."""
    convert(tiny.make(tmp_path / "in", **overrides), tmp_path / "out.gguf", dense="bf16", layout="standard")
    found, reader = tensors_of(tmp_path / "out.gguf")
    with open_source(tmp_path / "in") as source:
        c = source.config
        for name, _ in vectors(c):
            np.testing.assert_array_equal(found[gguf_name(name)], source.values(name))
        for module, rows, _ in linears(c):
            exact = source.linear(module).read(0, rows)
            if module.endswith("kv_b_proj"):
                layer, heads = module.split(".")[2], exact.reshape(c.num_attention_heads, -1, c.kv_lora_rank)
                keys = heads[:, : c.qk_nope_head_dim].transpose(0, 2, 1)
                np.testing.assert_array_equal(found[f"blk.{layer}.attn_k_b.weight"], keys)
                np.testing.assert_array_equal(found[f"blk.{layer}.attn_v_b.weight"], heads[:, c.qk_nope_head_dim :])
                continue
            stored = found[gguf_name(module + ".weight")]
            expert = module.split(".experts.")[-1].split(".")[0]
            np.testing.assert_array_equal(stored[int(expert)] if ".experts." in module else stored, exact)
    kinds = {t.name: t.tensor_type.name for t in reader.tensors}
    assert kinds["blk.1.ffn_up_exps.weight"] == "Q4_0" and kinds["blk.1.ffn_gate_inp.weight"] == "F32"


def test_other_matrices_are_q8_0_by_default_where_their_width_allows(tmp_path):
    convert(tiny.make(tmp_path / "in", kv_lora_rank=36), tmp_path / "out.gguf", layout="standard")
    found, reader = tensors_of(tmp_path / "out.gguf")
    kinds = {t.name: t.tensor_type.name for t in reader.tensors}
    assert kinds["blk.0.attn_output.weight"] == kinds["output.weight"] == "Q8_0"
    assert kinds["blk.0.attn_v_b.weight"] == "BF16"
    with open_source(tmp_path / "in") as source:
        exact = source.linear("lm_head").read(0, 160).reshape(-1, 32)
    error = np.abs(found["output.weight"].reshape(-1, 32) - exact)
    assert (error.max(-1) <= np.abs(exact).max(-1) / 127 * 0.51).all()


def test_float8_experts_become_q4_0(tmp_path):
    config = tiny.BASE | {
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
    }
    tensors = tiny.tensors(config, 0, "bf16")
    rng = np.random.default_rng(0)
    for name in [n for n in tensors if ".experts." in n]:
        shape = tensors[name][1].shape
        tensors[name] = ("F8_E4M3", rng.integers(0, 0x70, shape, dtype=np.uint8))
        tensors[name + "_scale_inv"] = ("F32", np.full((1, 1), 0.001, np.float32))
    tiny.write(tmp_path / "in", config, tensors)
    convert(tmp_path / "in", tmp_path / "out.gguf", layout="standard")
    found, _ = tensors_of(tmp_path / "out.gguf")
    with open_source(tmp_path / "in") as source:
        exact = source.linear("model.layers.1.mlp.experts.2.up_proj").read(0, 32)
    # At most one step, where a value is clipped.
    error = np.abs(found["blk.1.ffn_up_exps.weight"][2] - exact).reshape(-1, 32).max(-1)
    assert (error <= np.abs(exact).reshape(-1, 32).max(-1) / 8 * 1.01).all()


def test_scales_that_float16_rounds_are_counted_and_those_beyond_it_refused(tmp_path):
    config = tiny.BASE | {"quantization_config": tiny.QUANTIZATION}
    tensors = tiny.tensors(config, 0, "int4")
    name = "model.layers.1.mlp.experts.3.up_proj.weight_scale"
    scales = tensors[name][1].copy()
    scales[:5, 0] = f32_to_bf16(np.full(5, 1.01e-7, np.float32))  # between two subnormal numbers of float16
    tiny.write(tmp_path / "in", config, tensors | {name: ("BF16", scales)})
    warnings = convert(tmp_path / "in", tmp_path / "out.gguf", layout="standard")
    assert "5 scales of INT4 groups had to be rounded to float16." in warnings
    scales[7, 1] = f32_to_bf16(np.array([1e5], np.float32))[0]
    tiny.write(tmp_path / "in", config, tensors | {name: ("BF16", scales)})
    with pytest.raises(CheckpointError, match=f"{name} has 1 scales beyond float16"):
        convert(tmp_path / "in", tmp_path / "other.gguf", layout="standard")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"q_lora_rank": None}, "q_lora_rank"),
        ({"moe_layer_freq": 2}, "moe_layer_freq"),
        ({"n_shared_experts": 0}, "n_shared_experts"),
        ({"n_routed_experts": 0}, "n_routed_experts"),
        ({"rope_scaling": tiny.YARN | {"mscale": 0.7}}, "mscale"),
        ({"rope_scaling": tiny.YARN | {"mscale": 0.0, "mscale_all_dim": 0.0}}, "mscale_all_dim"),
    ],
)
def test_what_deepseek2_cannot_express_is_refused_by_name(change, key):
    with pytest.raises(ConfigError, match=key):
        config_metadata(config_from_hf(tiny.BASE | change)[0])


@pytest.mark.parametrize("change", [{}, {"rope_scaling": None}, {"n_group": 4, "topk_group": 2}])
def test_the_configuration_survives_in_the_metadata(change):
    config, _ = config_from_hf(tiny.BASE | change | {"bos_token_id": None, "eos_token_id": None})
    metadata = config_metadata(config) | {"general.architecture": "deepseek2"}
    assert config_from_gguf(metadata) == (config, [])


def test_merges_are_those_that_make_the_tokens_in_order_of_rank():
    tokens = [bytes([i]) for i in range(256)] + [b"ab", b"cd", b"abcd", b"bc", b"abc"]
    assert merges(tokens) == ["a b", "c d", "ab cd", "b c", "ab c"]


def test_vocabulary_has_llama_cpps_form(tmp_path, tiny_checkpoint):
    convert(tiny_checkpoint, tmp_path / "out.gguf", layout="standard")
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    assert len(tokens) == len(types) == 512
    assert (tokens[ord("a")], types[ord("a")], tokens[ord(" ")]) == ("a", gguf.TokenType.NORMAL, "\u0120")
    assert (tokens[258], types[258]) == ("<|im_end|>", gguf.TokenType.CONTROL)
    assert fields["tokenizer.ggml.pre"].contents() == "kimi-k2"


def test_a_vocabulary_of_another_size_than_the_tokenizer_is_refused(tmp_path, tiny_checkpoint):
    directory = tiny.make(tmp_path / "in")  # 160 tokens
    (directory / "tiktoken.model").write_bytes((tiny_checkpoint / "tiktoken.model").read_bytes())
    with pytest.raises(CheckpointError, match="512 tokens, but vocab_size is 160"):
        convert(directory, tmp_path / "out.gguf", layout="standard")


def test_llama_cpp_reads_our_vocabulary_as_we_do(tmp_path, tiny_checkpoint):
    llama_cpp = pytest.importorskip("llama_cpp")
    convert(tiny_checkpoint, tmp_path / "out.gguf", layout="standard")
    model = llama_cpp.Llama(str(tmp_path / "out.gguf"), vocab_only=True, verbose=False)
    text = "<|im_user|>na\u00efve caf\u00e9<|im_end|>"
    ids = model.tokenize(text.encode(), add_bos=False, special=True)
    assert ids == kimi_cpu.Tokenizer.load(tiny_checkpoint).encode(text)


@pytest.mark.parametrize(
    "overrides",
    [{}, {"n_group": 4, "topk_group": 2}, {"rope_scaling": None}, {"n_shared_experts": 2, "first_k_dense_replace": 2}],
    ids=str,
)
def test_llama_cpp_agrees_with_our_logits(tmp_path, overrides):
    """Its activations are rounded to 8 bits in blocks of 32, as ours are; ties closer than 0.1 are not judged."""
    pytest.importorskip("llama_cpp")
    directory = calm(tmp_path / "in", vocab_size=512, **overrides)
    convert(directory, tmp_path / "ours.gguf", dense="bf16")
    convert(directory, tmp_path / "theirs.gguf", dense="bf16", layout="standard")
    ids = np.random.default_rng(0).integers(0, 512, POSITIONS).tolist()
    with kimi_cpu.load(tmp_path / "ours.gguf", compute="f32", kv="f32") as llm:
        ours = llm.logits(ids)
    theirs = llama_logits(tmp_path / "theirs.gguf", ids)
    top = np.sort(ours, axis=1)
    clear = top[:, -1] - top[:, -2] > 0.1
    assert clear.sum() > POSITIONS / 2
    assert (ours.argmax(1) == theirs.argmax(1))[clear].mean() >= 0.97
