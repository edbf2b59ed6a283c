"""A checkpoint of another model, or of a part of one, is said to be it, with what to give instead."""

import gguf
import numpy as np
import pytest

from kimi_cpu import convert
from kimi_cpu.conversion.checkpoint import open_source
from kimi_cpu.errors import CheckpointError, ConfigError
from tests import tiny
from tests.conversion.test_gguf_source import tensors_of, values, write  # noqa: F401 (a fixture)
from tests.conversion.test_source import EXPERT, int4_values, stored

SOME = ("F32", np.zeros(3, np.float32))


def said(directory, config, tensors):
    tiny.write(directory, config, tensors)
    with pytest.raises(CheckpointError) as error:
        open_source(directory)
    assert error.value.exit_code == 5 and str(directory) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("prefix", ["language_model.", "model.language_model."])
def test_the_language_model_inside_a_vision_model_is_found(tmp_path, prefix):
    config, tensors = stored()
    whole = {"vision_tower.a.weight": SOME, "model.vision_tower.b.weight": SOME, "mm_projector.c.weight": SOME}
    for name, tensor in tensors.items():
        inner = name.removeprefix("model.") if prefix.startswith("model.") else name
        whole[inner if inner.startswith("lm_head") and prefix.startswith("model.") else prefix + inner] = tensor
    nested = {"model_type": "kimi_k25", "text_config": config, "vision_config": {}}
    tiny.write(tmp_path, nested, whole)
    with open_source(tmp_path) as source:
        assert source.warnings == ["3 tensors of the vision tower are skipped: only the text model is converted."]
        np.testing.assert_array_equal(source.linear(EXPERT).read(0, 32), int4_values(tensors, EXPERT))


def test_a_vision_tower_alone_is_said_to_be_it(tmp_path):
    config, _ = stored()
    text = said(tmp_path, config, {"vision_tower.a.weight": SOME, "mm_projector.b.weight": SOME})
    assert "vision tower and no language model" in text and "shards" in text


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"model_type": "deepseek_v2", "scoring_func": "softmax"}, ["deepseek_v2", "softmax", "sigmoid", "kimi_k2"]),
        ({"model_type": "kimi_k25", "vision_config": {}}, ["kimi_k25", "text_config", "missing"]),
        ({"model_type": "moonvit", "vt_hidden_size": 9}, ["moonvit", "vision tower alone"]),
        ({"model_type": "llama"}, ["'llama'", "kimi_k2 and deepseek_v3"]),
    ],
)
def test_a_configuration_of_another_model_is_said_to_be_it(tmp_path, config, parts):
    text = said(tmp_path, config, {"model.norm.weight": SOME})
    assert str(tmp_path / "config.json") in text and all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("model.layers.1.mlp.switch_mlp.up_proj.weight", "MLX"),
        ("model.layers.1.self_attn.o_proj.scales", "MLX, GPTQ or AWQ"),
        ("model.layers.1.self_attn.o_proj.qweight", "GPTQ or AWQ"),
        ("model.layers.1.self_attn.o_proj.weight.absmax", "bitsandbytes"),
        ("model.layers.1.mlp.experts.0.up_proj.weight_scale_2", "NVIDIA ModelOpt"),
        ("base_model.model.model.layers.1.self_attn.o_proj.lora_A.weight", "no tensor is one of this architecture's"),
    ],
)
def test_tensors_of_another_program_are_said_to_be_its(tmp_path, name, whose):
    config, tensors = stored("bf16")
    others = {name: SOME} if name.startswith("base") else tensors | {name: SOME}
    text = said(tmp_path, config, others)
    assert name in text and whose in text, text


def gguf_of(path, metadata, tensors=None):
    writer = gguf.GGUFWriter(path, metadata.pop("general.architecture"))
    for key, value in metadata.items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    for name, x in (tensors or {"a": np.zeros(32, np.float32)}).items():
        writer.add_tensor(name, x)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("metadata", "parts"),
    [
        ({"general.architecture": "llama"}, ["'llama'", "deepseek2", "K2 Thinking"]),
        ({"general.architecture": "clip"}, ["mmproj", "language model"]),
        ({"general.architecture": "deepseek2", "general.type": "adapter"}, ["adapter", "language model"]),
        ({"general.architecture": "kimi-linear"}, ["kimi-linear", "linearly"]),
    ],
)
def test_a_gguf_file_of_another_model_is_said_to_be_it(tmp_path, metadata, parts):
    path = gguf_of(tmp_path / "other.gguf", dict(metadata))
    with pytest.raises(ConfigError) as error:
        open_source(path)
    assert error.value.exit_code == 5 and str(path) in str(error.value)
    assert all(part in str(error.value) for part in parts), error.value


@pytest.mark.parametrize("scoring", [1, None])
def test_the_scoring_of_v2_lite_is_named_as_what_is_missing(tmp_path, values, scoring):  # noqa: F811
    path = write(tmp_path / "lite.gguf", tensors_of(values), metadata={"deepseek2.expert_gating_func": scoring or 7})
    if scoring is None:
        data = path.read_bytes()
        path.write_bytes(data.replace(b"deepseek2.expert_gating_func", b"deepseek2.expert_gating_none"))
    with pytest.raises(CheckpointError) as error:
        convert(path, tmp_path / "out.gguf")
    text = str(error.value)
    assert all(part in text for part in (str(path), "expert_gating_func", "softmax", "V2-Lite", "sigmoid")), text
    assert not (tmp_path / "out.gguf").exists()


def test_what_llama_cpp_cannot_express_is_said_of_the_checkpoint(tmp_path):
    tiny.make(tmp_path / "in", q_lora_rank=None)
    with pytest.raises(ConfigError) as error:
        convert(tmp_path / "in", tmp_path / "out.gguf", layout="standard")
    assert str(tmp_path / "in") in str(error.value) and "q_lora_rank" in str(error.value)
    assert not list(tmp_path.glob("out.gguf*"))
