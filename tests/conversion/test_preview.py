"""plan says beforehand what convert will make, and inspect says what is there."""

import json
import shutil

import pytest
from click.testing import CliRunner

from kimi_cpu import convert
from kimi_cpu.cli import cli
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.plan import Machine, predict
from tests import tiny

K2 = {  # Kimi K2 Thinking's own widths
    "vocab_size": 163840,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "n_routed_experts": 384,
    "num_experts_per_tok": 8,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "max_position_embeddings": 262144,
    "quantization_config": tiny.QUANTIZATION,
}


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


LAYOUTS = [("native", "q8_0"), ("native", "bf16"), ("standard", "q8_0"), ("standard", "bf16")]


def converted_size(source, out, layout, dense):
    convert(source, out, dense=dense, layout=layout)
    return out.stat().st_size


@pytest.mark.parametrize(("layout", "dense"), LAYOUTS)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"q_lora_rank": None},
        {"tie_word_embeddings": True},
        {"n_shared_experts": 2},
        {"n_routed_experts": 0, "n_shared_experts": 0, "first_k_dense_replace": 3},
        {"experts": "bf16", "shards": 1},
    ],
)
def test_size_is_known_to_the_byte_before_the_conversion(tmp_path, config, layout, dense):
    if layout == "standard" and not (config.get("q_lora_rank", 1) and config.get("n_routed_experts", 1)):
        pytest.skip("llama.cpp's deepseek2 cannot express it")
    directory = tiny.make(tmp_path / "in", **config)
    found = preview(directory, dense=dense, layout=layout)
    assert found.file == converted_size(directory, tmp_path / "out.gguf", layout, dense) and found.unknown == ()
    if layout == "native":
        made = preview(tmp_path / "out.gguf")
        assert (made.file, made.needs) == (found.file, found.needs)


@pytest.mark.parametrize(("layout", "dense"), LAYOUTS)
def test_size_of_what_becomes_of_a_gguf_file_is_known_to_the_byte(tmp_path, tiny_checkpoint, layout, dense):
    convert(tiny_checkpoint, tmp_path / "source.gguf", layout="standard", dense=dense)
    found = preview(tmp_path / "source.gguf", dense=dense, layout=layout)
    assert found.file == converted_size(tmp_path / "source.gguf", tmp_path / "out.gguf", layout, dense)


@pytest.mark.parametrize(("layout", "dense"), LAYOUTS)
def test_tokenizer_and_texts_are_counted(tmp_path, tiny_checkpoint, layout, dense):
    found = preview(tiny_checkpoint, dense=dense, layout=layout)
    assert found.file == converted_size(tiny_checkpoint, tmp_path / "out.gguf", layout, dense)


def test_a_configuration_alone_says_what_it_cannot_count(tmp_path):
    directory = tiny.make(tmp_path / "in")
    shutil.copy(directory / "config.json", tmp_path / "config.json")
    whole, alone = preview(directory), preview(tmp_path / "config.json")
    assert alone.needs == whole.needs
    assert abs(alone.file - whole.file) <= 8192
    assert len(alone.unknown) == 2 and "tiktoken.model" in alone.unknown[0] and "files" in alone.unknown[1]
    said = run("plan", tmp_path / "config.json").stdout
    assert all(what in said for what in alone.unknown)


def test_a_directory_without_its_shards_is_planned_and_says_what_it_cannot_count(tmp_path, tiny_checkpoint):
    directory = tiny.make(tmp_path / "in")
    shutil.copy(tiny_checkpoint / "tiktoken.model", directory)
    whole = preview(directory)
    (directory / "model-00002-of-000002.safetensors").unlink()
    found = preview(directory)
    assert found.needs.weights == whole.needs.weights and abs(found.file - whole.file) <= 8192
    assert len(found.unknown) == 1 and "model-00002-of-000002.safetensors" in found.unknown[0]


def test_figures_of_kimi_k2_are_the_published_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(tiny.BASE | K2))
    found = preview(tmp_path / "config.json", context=262144)
    needs = found.needs
    assert needs.expert == 24_772_608
    assert needs.num_experts == 60 * 384
    assert needs.cache_token == 70_272
    assert needs.cache == 70_272 * 262_144
    assert needs.token == pytest.approx(23e9, rel=0.04)
    assert found.file == pytest.approx(584e9, rel=0.01)


def test_what_is_read_from_disk_is_what_a_token_needs_less_what_fits(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(tiny.BASE | K2))
    needs = preview(tmp_path / "config.json", context=4096).needs
    routed = 60 * 8 * needs.expert
    experts = needs.weights - needs.dense

    def from_disk(memory):
        return predict(needs, Machine(memory, 100.0)).from_disk

    assert from_disk(needs.memory) == 0
    assert from_disk(needs.memory - experts // 2) == pytest.approx(routed / 2, rel=1e-6)
    assert from_disk(needs.dense + needs.cache) == pytest.approx(routed, rel=1e-6)
    assert from_disk(0) == needs.token


def test_too_little_memory_is_exit_code_4(tmp_path):
    directory = tiny.make(tmp_path / "in")
    assert run("plan", directory, "--memory", "1KiB").exit_code == 4
    assert run("plan", directory, "--memory", "64GiB").exit_code == 0
    assert run("plan", directory, "--memory", "a lot").exit_code == 2


def test_plan_as_json_has_the_figures_in_bytes(tmp_path):
    directory = tiny.make(tmp_path / "in")
    found = json.loads(run("plan", directory, "--json", "--context", 640).stdout.splitlines()[0])
    assert found["memory"] == found["weights"] + found["cache"]
    assert found["cache"] == 640 * found["cache_token"]


def test_contents_of_checkpoint_and_file_have_the_same_configuration(tmp_path):
    directory = tiny.make(tmp_path / "in")
    convert(directory, tmp_path / "out.gguf")
    before, after = inspect(directory), inspect(tmp_path / "out.gguf")
    assert before.config == after.config
    assert {"routed experts", "attention", "router"} <= before.sizes.keys() & after.sizes.keys()
    kinds = {name: dtype for name, dtype, _, _ in after.tensors}
    assert kinds["blk.1.ffn_exps.weight"] == "int4" and kinds["blk.0.attn_output.weight"] == "q8"


def test_inspect_lists_tensors_and_speaks_json(tmp_path):
    directory = tiny.make(tmp_path / "in")
    assert "model.norm.weight  BF16  [64]  128" in run("inspect", directory, "--tensors").stdout
    assert json.loads(run("inspect", directory, "--json").stdout)["config"]["hidden_size"] == 64
    assert "isa" in run("inspect", "--cpu").stdout
    assert run("inspect").exit_code == 2
