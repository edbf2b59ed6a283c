"""The bytes of layers are those of the tensors that a stage with these layers has, also where the head is the table."""

import json

import pytest

from kimi_cpu.conversion.inspect import preview
from kimi_cpu.modelfile.layout import contents
from kimi_cpu.plan import layer_sizes
from kimi_cpu.plan.layers import layers_of, together
from tests import tiny


@pytest.fixture(params=[False, True], ids=["head of its own", "tied"])
def model(request, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tiny.BASE | {"tie_word_embeddings": request.param}))
    return preview(path)


def test_bytes_are_those_of_the_tensors(model):
    layers, count = layers_of(model.config, model.tensors), model.config.num_hidden_layers
    for begin in range(count):
        for end in range(begin + 1, count + 1):
            stage = together(layers[begin:end])
            names = [name for name, _ in contents(model.config, range(begin, end))]
            assert stage.num_bytes == sum(model.tensors[name] for name in names), (begin, end)


def test_a_step_reads_the_head_and_one_row_of_the_table(model):
    table = model.tensors["token_embd.weight"]
    for begin, with_table in ((0, table), (1, 0)):
        stage = layers_of(model.config, model.tensors)[begin]
        assert stage.table == with_table and stage.read(1.0) == stage.num_bytes - with_table
    assert layer_sizes(model.config, model.tensors).read[-1] > model.tensors.get("output.weight", table)
