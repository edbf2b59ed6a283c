"""Files that tools make to measure with: a slice with narrow experts, and K2's full size in a few MB."""

import pytest

from kimi_cpu.config import config_from_hf
from kimi_cpu.model.weights import bind
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.tokenizer import tokenizer_of
from tools import make_slice, make_sparse_k2


def test_a_slice_has_as_many_experts_and_as_narrow_ones_as_were_asked_for():
    config = make_slice.slice_config(layers=9, experts=384, expert_width=64, vocab=8192)
    shapes = {name: shape for name, _, shape in make_slice.specs(config)}
    parsed = config_from_hf(config)[0]
    assert sum(parsed.is_moe_layer(layer) for layer in range(parsed.num_hidden_layers)) == 8
    experts = "model.layers.8.mlp.experts."
    assert sum(name.startswith(experts) and name.endswith("gate_proj.weight_packed") for name in shapes) == 384
    assert shapes[experts + "383.gate_proj.weight_packed"] == (64, 7168 // 8)
    assert shapes[experts + "383.down_proj.weight_packed"] == (7168, 64 // 8)
    assert shapes["model.layers.8.mlp.shared_experts.up_proj.weight"] == (64, 7168)


def test_a_slice_refuses_experts_whose_groups_are_not_full():
    with pytest.raises(ValueError, match="48; it must be a multiple of 32"):
        make_slice.slice_config(layers=2, experts=8, expert_width=48, vocab=64)


def test_the_sparse_file_is_as_large_as_kimi_k2_and_takes_a_few_megabytes(tmp_path):
    path = tmp_path / "k2.gguf"
    make_sparse_k2.write(path)
    assert path.stat().st_size > 580e9
    assert path.stat().st_blocks * 512 < 20e6
    with ModelFile.open(path) as file:
        weights = bind(file)
        experts = [w.mlp.experts for w in weights.layers.values() if hasattr(w.mlp, "experts")]
        assert [len(e.data) for e in experts] == [384] * 60
        assert experts[59].data.strides[0] == 24_772_608
        assert not experts[59].data[383].any()
        assert tokenizer_of(file).decode(tokenizer_of(file).encode("a hole")) == "a hole"
