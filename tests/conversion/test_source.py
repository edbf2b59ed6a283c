"""A checkpoint directory is read as what it says, by the names and values of its publisher."""

import codecs
import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open

from kimi_cpu import Tokenizer, convert
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.conversion.inspect import preview
from kimi_cpu.conversion.source import FloatLinear, Int4Linear
from kimi_cpu.conversion.tensors import FLOAT8_E4M3
from kimi_cpu.errors import CheckpointError
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import bf16_to_f32
from tests import tiny

EXPERT = "model.layers.1.mlp.experts.3.up_proj"
Q_B = "model.layers.0.self_attn.q_b_proj"


def stored(experts="int4", **overrides):
    """(config, tensors) to be changed before they are written."""
    config = tiny.BASE | ({"quantization_config": tiny.QUANTIZATION} if experts == "int4" else {}) | overrides
    return config, tiny.tensors(config, 0, experts)


def opened(directory, config, tensors, **kwargs):
    tiny.write(directory, config, tensors, **kwargs)
    return open_source(directory)


def int4_values(tensors, module):
    words = tensors[module + ".weight_packed"][1].view(np.uint32)
    nibbles = (words[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
    codes = nibbles.reshape(len(words), -1).astype(np.float32) - 8
    return codes * np.repeat(bf16_to_f32(tensors[module + ".weight_scale"][1]), 32, axis=1)


def fp8(x, block):
    """(codes, scales) of f32[R, C]; the nearest E4M3 code of each value, searched among all of them."""
    rows, cols = x.shape
    scales = np.zeros((-(-rows // block), -(-cols // block)), np.float32)
    codes = np.zeros(x.shape, np.uint8)
    finite = np.delete(np.arange(256), [0x7F, 0xFF])
    for i, j in np.ndindex(scales.shape):
        at = np.s_[i * block : (i + 1) * block, j * block : (j + 1) * block]
        scales[i, j] = np.abs(x[at]).max() / 448
        codes[at] = finite[np.abs(x[at][..., None] / scales[i, j] - FLOAT8_E4M3[finite]).argmin(-1)]
    return codes, scales


@pytest.mark.parametrize("shards", [1, 3])
def test_packed_experts_are_views_of_the_files_bytes(tmp_path, shards):
    config, tensors = stored()
    with opened(tmp_path, config, tensors, shards=shards) as source:
        linear = source.linear(EXPERT)
        assert isinstance(linear, Int4Linear) and source.describe(EXPERT) == ("INT4", 32, 64)
        np.testing.assert_array_equal(linear.packed, tensors[EXPERT + ".weight_packed"][1])
        np.testing.assert_array_equal(linear.scales, tensors[EXPERT + ".weight_scale"][1])
        assert not linear.packed.flags.owndata and not linear.packed.flags.writeable
        np.testing.assert_array_equal(linear.read(5, 9), int4_values(tensors, EXPERT)[5:9])


def test_values_are_those_that_the_safetensors_package_reads(tiny_checkpoint):
    pytest.importorskip("torch")
    seen = set()
    with open_source(tiny_checkpoint) as source:
        for file in sorted(tiny_checkpoint.glob("*.safetensors")):
            with safe_open(file, "pt") as shard:
                for name in shard.keys():  # noqa: SIM118 (not a dict)
                    seen.add(name)
                    if not name.endswith(("_packed", "_shape")):
                        np.testing.assert_array_equal(source.values(name), shard.get_tensor(name).float().numpy())
        assert seen == set(source.tensors)


def test_packed_experts_mean_what_compressed_tensors_means(tiny_checkpoint):
    torch = pytest.importorskip("torch")
    helpers = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers")
    with open_source(tiny_checkpoint) as source:
        linear = source.linear(EXPERT)
        packed = torch.from_numpy(linear.packed.copy())
        codes = helpers.unpack_from_int32(packed, 4, torch.Size([linear.rows, linear.cols])).numpy()
        scales = np.repeat(bf16_to_f32(linear.scales), 32, axis=1)
        np.testing.assert_array_equal(linear.read(0, linear.rows), codes.astype(np.float32) * scales)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_plain_weights_of_any_float_type_are_exact(tmp_path, dtype):
    config, tensors = stored("bf16")
    values = bf16_to_f32(tensors[Q_B + ".weight"][1])
    elements = {"BF16": tensors[Q_B + ".weight"][1], "F16": values.astype(np.float16), "F32": values}[dtype]
    tensors[Q_B + ".weight"] = (dtype, elements)
    with opened(tmp_path, config, tensors) as source:
        linear = source.linear(Q_B)
        assert isinstance(linear, FloatLinear) and (linear.bits is not None) == (dtype == "BF16")
        np.testing.assert_array_equal(
            linear.read(3, 50), elements[3:50].astype(np.float32) if dtype != "BF16" else values[3:50]
        )


def test_float8_codes_have_the_values_of_torch():
    torch = pytest.importorskip("torch")
    codes = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(FLOAT8_E4M3, codes)


@pytest.mark.parametrize("block", [128, 20])
def test_float8_blocks_are_multiplied_by_their_scale(tmp_path, block):
    config, tensors = stored("bf16")
    quantization = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [block, block]}
    exact = {}
    for name in [n for n in tensors if n.endswith(("_proj.weight", "_mqa.weight"))]:
        codes, scales = fp8(bf16_to_f32(tensors[name][1]), block)
        tensors[name] = ("F8_E4M3", codes)
        tensors[name + "_scale_inv"] = ("F32", scales)
        wide = np.repeat(np.repeat(scales, block, 0), block, 1)[: codes.shape[0], : codes.shape[1]]
        exact[name.removesuffix(".weight")] = FLOAT8_E4M3[codes] * wide
    with opened(tmp_path, config | {"quantization_config": quantization}, tensors) as source:
        for module in (EXPERT, Q_B, "model.layers.0.self_attn.kv_a_proj_with_mqa"):
            rows = len(exact[module])
            np.testing.assert_array_equal(source.linear(module).read(rows // 3, rows), exact[module][rows // 3 :])


def test_prefix_and_vision_tower_of_k2_5_are_understood(tmp_path):
    config, tensors = stored()
    vision = {f"vision_tower.blocks.{i}.weight": ("BF16", np.zeros((2, 3), np.uint16)) for i in range(4)}
    vision["mm_projector.bias"] = ("F32", np.zeros(3, np.float32))
    nested = {"model_type": "kimi_k25", "text_config": config, "vision_config": {}}
    renamed = {"language_model." + name: tensor for name, tensor in tensors.items()} | vision
    with opened(tmp_path, nested, renamed) as source:
        assert set(source.tensors) == set(tensors)
        assert source.warnings == ["5 tensors of the vision tower are skipped: only the text model is converted."]
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


def test_tensors_that_nobody_needs_are_listed_in_one_warning(tmp_path):
    config, tensors = stored()
    some = ("F32", np.zeros(3, np.float32))
    tensors |= {"model.extra": some, "another.weight": some, "model.layers.0.self_attn.rotary_emb.inv_freq": some}
    with opened(tmp_path, config, tensors) as source:
        assert source.warnings == ["Unknown tensors are ignored: another.weight, model.extra."]


def test_layers_for_multi_token_prediction_are_skipped_with_a_warning(tmp_path):
    config, tensors = stored(num_nextn_predict_layers=1)
    tensors |= {f"model.layers.3.{name}.weight": ("F32", np.zeros(3, np.float32)) for name in ("eh_proj", "enorm")}
    with opened(tmp_path, config, tensors) as source:
        assert source.warnings == ["2 tensors of layers from 3 on (multi-token prediction) are skipped."]


def test_a_shape_tensor_may_be_of_64_bits(tmp_path):
    config, tensors = stored()
    for name in [n for n in tensors if n.endswith("weight_shape")]:
        tensors[name] = ("I64", tensors[name][1].astype(np.int64))
    with opened(tmp_path, config, tensors) as source:
        assert source.linear(EXPERT).rows == 32


def test_half_split_rotation_becomes_interleaved(tmp_path):
    """(q_i, q_{i + r/2}) rotates together in such a checkpoint, (q_2i, q_{2i + 1}) in what is read."""
    config, tensors = stored(rope_interleave=False)
    with opened(tmp_path, config, tensors) as source:
        for module, still, heads in ((Q_B, 16, 4), ("model.layers.0.self_attn.kv_a_proj_with_mqa", 32, 1)):
            raw = bf16_to_f32(tensors[module + ".weight"][1]).reshape(heads, still + 8, -1)
            linear = source.linear(module)
            read = linear.read(0, linear.rows).reshape(raw.shape)
            np.testing.assert_array_equal(read, bf16_to_f32(linear.bits).reshape(raw.shape))
            np.testing.assert_array_equal(read[:, :still], raw[:, :still])
            np.testing.assert_array_equal(read[:, still::2], raw[:, still : still + 4])
            np.testing.assert_array_equal(read[:, still + 1 :: 2], raw[:, still + 4 :])
        unturned = "model.layers.0.self_attn.o_proj"
        np.testing.assert_array_equal(source.linear(unturned).bits, tensors[unturned + ".weight"][1])


def test_a_head_that_is_the_embedding_need_not_be_there(tmp_path):
    config, tensors = stored(tie_word_embeddings=True)
    with opened(tmp_path, config, tensors) as source:
        assert "lm_head.weight" not in source.tensors and source.warnings == []


def test_tensors_at_odd_offsets_are_read_right(tmp_path):
    config, tensors = stored()
    odd = {"a.first": ("U8", np.zeros(3, np.uint8))} | tensors
    with opened(tmp_path, config, odd, shards=1) as source:
        linear = source.linear(EXPERT)
        assert linear.packed.flags.aligned
        np.testing.assert_array_equal(linear.read(0, 32), int4_values(tensors, EXPERT))


def test_files_and_texts_are_carried(tmp_path):
    config, tensors = stored()
    tiny.write(tmp_path, config, tensors)
    (tmp_path / "LICENSE").write_text("Modified MIT")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "from the configuration"}))
    (tmp_path / "tiktoken.model").write_bytes(b"IQ== 0\n")
    with open_source(tmp_path) as source:
        assert source.texts["license"] == "Modified MIT"
        assert source.texts["chat_template"] == "from the configuration"
        assert source.ranks == b"IQ== 0\n"
        assert source.config_text == (tmp_path / "config.json").read_text()
        assert [name for name, _, _ in source.files] == [f"model-0000{i}-of-000002.safetensors" for i in (1, 2)]
    (tmp_path / "chat_template.jinja").write_text("from its own file")
    assert open_source(tmp_path).texts["chat_template"] == "from its own file"


def test_links_into_a_hub_cache_are_followed(tmp_path, tiny_checkpoint):
    shutil.copytree(tiny_checkpoint, tmp_path / "blobs")
    (tmp_path / "snapshot").mkdir()
    for file in (tmp_path / "blobs").iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(file)
    with open_source(tmp_path / "snapshot") as source:
        assert source.linear(EXPERT).rows == 128


def test_a_missing_directory_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        open_source(tmp_path / "nowhere")


def test_byte_order_marks_are_no_part_of_a_checkpoints_texts(tiny_checkpoint, tiny_file, tmp_path):
    marked = tmp_path / "marked"
    shutil.copytree(tiny_checkpoint, marked)
    for path in marked.glob("*.json"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    convert(marked, tmp_path / "tiny.gguf")
    assert ModelFile.open(tmp_path / "tiny.gguf").config == ModelFile.open(tiny_file).config
    text = "Hi <|im_end|>"
    assert Tokenizer.load(marked).encode(text) == Tokenizer.load(tiny_checkpoint).encode(text)
    assert preview(marked / "config.json").needs.context == preview(tiny_checkpoint / "config.json").needs.context
