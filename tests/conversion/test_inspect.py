"""inspect and plan tell of every kind of source the same as the converter makes of it."""

import json

import pytest
from click.testing import CliRunner

from kimi_cpu import convert
from kimi_cpu.cli import cli
from kimi_cpu.config import config_from_hf
from kimi_cpu.conversion.inspect import inspect, preview
from kimi_cpu.conversion.tensors import linears
from kimi_cpu.errors import ConfigError
from tests import tiny
from tests.config.test_config import published

K2_TOTAL, K2_ACTIVE = (
    1_026_408_232_448,
    31_687_072_768,
)  # parameters; active: without embedding and selection biases


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "config.json"


@pytest.fixture
def standard(tmp_path):
    """(checkpoint, its standard file)."""
    convert(tiny.make(tmp_path / "in"), tmp_path / "standard.gguf", layout="standard")
    return tmp_path / "in", tmp_path / "standard.gguf"


def test_a_standard_file_is_shown_like_its_checkpoint(standard):
    checkpoint, file = standard
    before, after = inspect(checkpoint), inspect(file)
    assert after.config == before.config and after.warnings == []
    assert after.kind == "GGUF file of architecture deepseek2"
    assert before.sizes.keys() == after.sizes.keys()
    kinds = {name: (dtype, shape) for name, dtype, shape, _ in after.tensors}
    assert kinds["blk.1.ffn_up_exps.weight"] == ("Q4_0", [8, 32, 64])


def test_every_byte_of_a_checkpoint_is_in_one_class(standard):
    contents = inspect(standard[0])
    assert "other" not in contents.sizes
    assert sum(contents.sizes.values()) == sum(nbytes for *_, nbytes in contents.tensors)


def test_plan_of_a_standard_file_is_the_size_of_its_conversion(standard, tmp_path):
    convert(standard[1], tmp_path / "native.gguf")
    assert preview(standard[1]).file == (tmp_path / "native.gguf").stat().st_size
    assert preview(standard[1]).needs.weights == preview(standard[0]).needs.weights


def test_every_published_quantization_gives_int4_experts(tmp_path):
    names = ("kimi_k2_thinking", "kimi_k2_instruct", "kimi_k2_5")
    needs = [preview(write_config(tmp_path, published(name)), context=4096).needs for name in names]
    assert {n.expert for n in needs} == {24_772_608}
    assert len({(n.weights, n.cache, n.token) for n in needs}) == 1


def test_names_add_up_to_the_published_parameters():
    config = config_from_hf(published("kimi_k2_thinking"))[0]
    norms, biases = 61 * (2 * 7168 + 1536 + 512) + 7168, 60 * 384
    sizes = {module: rows * cols for module, rows, cols in linears(config)}
    experts = sum(size for module, size in sizes.items() if ".mlp.experts." in module)
    total = sum(sizes.values()) + norms + biases
    assert total == K2_TOTAL
    assert total - experts * 376 // 384 - sizes["model.embed_tokens"] - biases == K2_ACTIVE


def test_plan_refuses_what_convert_would_refuse(tmp_path):
    config = tiny.BASE | {"quantization_config": {"quant_method": "gptq"}}
    with pytest.raises(ConfigError, match="quant_method"):
        preview(write_config(tmp_path, config))


def test_warnings_go_to_stderr(tmp_path):
    config = tiny.BASE | {"quantization_config": tiny.QUANTIZATION, "strange": 1}
    tiny.write(tmp_path / "in", config, tiny.tensors(config, 0, "int4"))
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "in")])
    assert "strange" in done.stderr and "strange" not in done.stdout
