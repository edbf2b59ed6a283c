"""plan says beforehand what convert will make, and inspect says what is there."""

import json
import shutil

import pytest
from click.testing import CliRunner

from kimi_cpu import convert
from kimi_cpu.cli import cli
from kimi_cpu.convert.inspect import inspect
from kimi_cpu.convert.plan import plan
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


@pytest.mark.parametrize("dense", ["q8_0", "bf16"])
@pytest.mark.parametrize("config", [{}, {"q_lora_rank": None}, {"tie_word_embeddings": True}, {"n_shared_experts": 2}])
def test_size_is_known_before_the_conversion(tmp_path, config, dense):
    directory = tiny.make(tmp_path / "in", **config)
    needs = plan(directory, dense=dense)
    convert(directory, tmp_path / "out.gguf", dense=dense)
    assert needs.file == pytest.approx((tmp_path / "out.gguf").stat().st_size, abs=8192)  # sources' names differ
    assert plan(tmp_path / "out.gguf").weights == needs.weights


def test_configuration_alone_is_enough(tmp_path):
    directory = tiny.make(tmp_path / "in")
    shutil.copy(directory / "config.json", tmp_path / "config.json")
    assert plan(tmp_path / "config.json") == plan(directory)


def test_figures_of_kimi_k2_are_the_published_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(tiny.BASE | K2))
    needs = plan(tmp_path / "config.json", context=262144)
    assert needs.expert == 24_772_608
    assert needs.num_experts == 60 * 384
    assert needs.cache_token == 70_272
    assert needs.cache == 70_272 * 262_144
    assert needs.token == pytest.approx(23e9, rel=0.04)
    assert needs.file == pytest.approx(584e9, rel=0.01)


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
