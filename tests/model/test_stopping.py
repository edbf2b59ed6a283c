"""A forward pass that is ended within a layer gives nothing, and the next one what it would have given."""

import numpy as np
import pytest

from kimi_cpu.engine import Engine
from kimi_cpu.model import Kimi, KVCache
from kimi_cpu.model.weights import bind
from kimi_cpu.modelfile import ModelFile
from tests.engine.fake import finish, greedy


class Stopping:
    """Sets the flag before a layer, as another thread would within it."""

    def __init__(self, layer):
        self.stop, self.layer, self.seen = np.zeros(1, np.int64), layer, []

    def __call__(self, done, total):
        self.seen.append((done, total))
        if done == self.layer:
            self.stop[0] = 1
        return False


class Flaky:
    """A model whose steps are ended the first time."""

    def __init__(self, model):
        self.model, self.max_tokens, self.num_steps = model, model.max_tokens, 0
        self.vocab_size, self.depth, self.pages = model.vocab_size, model.depth, model.pages

    def submit(self, batch, watch):
        self.num_steps += 1
        if self.num_steps % 2:
            ended = Stopping(self.num_steps // 2 % 4)
            future = self.model.submit(batch, ended)
            assert future.result() is None and ended.stop[0]
            return future
        return self.model.submit(batch, watch)


@pytest.mark.parametrize("kv", ["f16", "int8"])
def test_answers_are_the_same_though_every_step_was_ended_once(tiny_file, kv):
    with ModelFile.open(tiny_file) as file:
        c = file.config
        weights = bind(file)

        def answers(wrap):
            cache = KVCache(kv, 64, c.num_hidden_layers, c.kv_lora_rank, c.qk_rope_head_dim)
            engine = Engine(wrap(Kimi(c, weights, cache, 32, int8=True)), 3)
            return finish(engine, [greedy([(n * i) % 90 + 3 for i in range(40 * n)], 30) for n in (1, 3, 2)])

        assert answers(Flaky) == answers(lambda model: model)


def test_pass_that_is_stopped_in_its_last_layer_gives_no_logits(tiny_file):
    with ModelFile.open(tiny_file) as file:
        c = file.config
        cache = KVCache("f16", 4, c.num_hidden_layers, c.kv_lora_rank, c.qk_rope_head_dim)
        model = Kimi(c, bind(file), cache, 32, int8=True)
        engine, request = Engine(model), greedy([3, 4, 5], 4)
        engine.add(request)
        given = []

        def forward(batch, watch, run=model.forward):
            given.append(run(batch, Stopping(c.num_hidden_layers - 1)))
            return given[-1]

        model.forward = forward
        assert engine.step() == [] and given == [None] and not request.output_ids
