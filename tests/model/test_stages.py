"""Some layers in one object and the others in another give the bits of all in one."""

import pytest

import kimi_cpu
from tests import tiny

from .steps import Watching, alone, assert_same, generate, opened
from .test_logits import CONFIGS


@pytest.mark.parametrize("name", ["base", "odd widths", "no q_lora", "two dense layers", "tied embeddings"])
@pytest.mark.parametrize(("int8", "kv"), [(True, "f16"), (True, "int8"), (False, "f32")])
def test_stages_give_the_bits_of_the_whole(tmp_path, name, int8, kv):
    directory = tiny.make(tmp_path / "checkpoint", seed=len(name), **CONFIGS[name])
    kimi_cpu.convert(directory, tmp_path / "model.gguf")
    with opened(tmp_path / "model.gguf") as make:
        whole = make(int8, kv)
        last = whole.config.num_hidden_layers
        for edges in ((0, 1, last), (0, 1, 2, last)):
            stages = [make(int8, kv, range(begin, end)) for begin, end in zip(edges, edges[1:], strict=False)]

            def staged(batch, stages=stages):
                hidden = None
                for stage in stages:
                    hidden = stage.forward(batch, Watching(), hidden)
                return hidden

            for chunk in (7, 64):
                expected = generate(alone(whole), chunk, 8)
                assert_same(generate(staged, chunk, 8), expected)


def test_stage_binds_its_own_weights_only_and_its_cache_is_as_deep(tiny_file):
    with opened(tiny_file) as make:
        whole, first, second = make(), make(layers=range(0, 1)), make(layers=range(1, 4))
        assert [*first.weights.layers] == [0] and [*second.weights.layers] == [1, 2, 3]
        assert first.weights.head is second.weights.embed_tokens is None
        assert first.pages.page_bytes + second.pages.page_bytes == whole.pages.page_bytes


def test_watch_sees_the_layers_of_its_stage(tiny_file):
    seen = []

    class Noting(Watching):
        def __call__(self, done, total):
            seen.append((done, total))
            return False

    with opened(tiny_file) as make:
        stage = make(layers=range(0, 2))
        generate(lambda batch: (stage.forward(batch, Noting()), seen.append("end"))[0], 64, 1, [[3]])
    assert seen[:3] == [(0, 2), (1, 2), "end"]
