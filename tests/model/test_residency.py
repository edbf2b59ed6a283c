"""Experts that move, come one by one and in any order, give the bits of those that stay where the file has them."""

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.kernels import Call
from tests import tiny

from .steps import Watching, alone, assert_same, generate, opened
from .test_logits import CONFIGS

COUNT = 12


class Moving:
    """Copies each active expert to another address before its layer, poisons the former one, and forgets the others.

    `bring` of its children says in which order.
    """

    def __init__(self, weights):
        self.experts = {n: w.mlp.experts for n, w in weights.layers.items() if hasattr(w.mlp, "experts")}
        shape = max(e.data.shape for e in self.experts.values())
        self.rooms = np.zeros((2, *shape), np.uint8)  # of this layer's experts, and of the last one's
        self.num_asked = 0
        for e in self.experts.values():
            e.address[:] = 0

    def arrivals(self, layer, dispatch, stop):
        self.num_asked += 1
        self.rooms[self.num_asked % 2] = 0xFF
        self.experts[layer].address[:] = 0
        yield from self.bring(self.experts[layer], dispatch, int(dispatch.num_active[0]))

    def load(self, e, number):
        """One expert into its room."""
        room = self.rooms[self.num_asked % 2, number]
        room[:] = e.data[number]
        e.address[number] = room.ctypes.data


class Backwards(Moving):
    """All come, the last first, one, two or three at a time; then they are added in pieces."""

    def bring(self, e, dispatch, count):
        left, size = list(range(count)), 1
        while left:
            some, left = left[-size:][::-1], left[:-size]
            for place in some:
                self.load(e, dispatch.active[place])
            yield np.array(some), 0
            size = size % 3 + 1
        for ready in range(2, count, 2):
            yield np.zeros(0, np.int64), ready
        yield np.zeros(0, np.int64), count


class Sweeping(Moving):
    """One at a time is in memory, as when a prompt needs more than fit."""

    def bring(self, e, dispatch, count):
        for place in range(count):
            e.address[:] = 0
            self.rooms[self.num_asked % 2] = 0xFF
            self.load(e, dispatch.active[place])
            yield np.array([place]), place + 1


class Twice(Moving):
    """Gone after gate and up, and back for down."""

    def bring(self, e, dispatch, count):
        for place in np.random.default_rng(count).permutation(count):
            e.address[:] = 0
            self.load(e, dispatch.active[place])
            yield np.array([place]), 0
        for begin in range(0, count, 3):
            e.address[:] = 0
            end = min(begin + 3, count)
            for place in range(begin, end):
                self.load(e, dispatch.active[place])
            yield np.zeros(0, np.int64), end


@pytest.fixture(scope="module", params=["base", "odd widths", "groups", "two shared experts", "no shared experts"])
def path(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("residency")
    overrides = {"n_shared_experts": 0} if request.param == "no shared experts" else CONFIGS[request.param]
    directory = tiny.make(folder / "checkpoint", seed=len(request.param), **overrides)
    kimi_cpu.convert(directory, folder / "model.gguf")
    return folder / "model.gguf"


@pytest.mark.parametrize("residency", [Backwards, Sweeping, Twice])
@pytest.mark.parametrize(("int8", "kv"), [(True, "f16"), (True, "int8"), (False, "f32")])
def test_experts_that_move_give_the_same_bits(path, residency, int8, kv):
    with opened(path) as make:
        for chunk in (5, 64):
            expected = generate(alone(make(int8, kv)), chunk, COUNT)
            assert_same(generate(alone(make(int8, kv, residency=residency)), chunk, COUNT), expected)


def test_step_that_is_stopped_asks_for_nothing_more_and_the_next_one_is_whole(tiny_file):
    asked = []

    class Stopped(Backwards):
        """The flag is set while experts are awaited; the residency gives up."""

        flag = None

        def bring(self, e, dispatch, count):
            asked.append(count)
            if self.flag is not None:
                self.flag[0] = 1
                return
            yield from super().bring(e, dispatch, count)

    def make_stopped(weights):
        make_stopped.last = Stopped(weights)
        return make_stopped.last

    with opened(tiny_file) as make:
        move = make(residency=make_stopped)
        expected = generate(alone(make()), 16, COUNT)

        def twice(batch):
            watch, residency = Watching(), make_stopped.last
            residency.flag, before = watch.stop, len(asked)
            assert move.forward(batch, watch) is None and len(asked) == before + 1
            residency.flag = None
            assert move.forward(batch, Watching(stop_at=0)) is None and len(asked) == before + 1
            return move.forward(batch, Watching())

        assert_same(generate(twice, 16, COUNT), expected)


def test_python_acts_within_a_layer_only_when_there_is_a_residency(tiny_file):
    def cuts(model):
        generate(alone(model), 16, 1, [[3, 4]])
        return [sum(not isinstance(call, Call) for call in program.calls) for program in model._programs.layers]

    with opened(tiny_file) as make:
        assert cuts(make()) == [0, 0, 0, 0]
        assert cuts(make(residency=Backwards)) == [0, 1, 1, 1]  # the first layer is dense


def test_experts_that_are_absent_or_never_come_are_noticed(tiny_file):
    class Absent(Moving):
        def bring(self, e, dispatch, count):
            yield np.arange(count), count

    class Missing(Sweeping):
        def bring(self, e, dispatch, count):
            yield from super().bring(e, dispatch, count - 1)

    with opened(tiny_file) as make:
        for residency, message in ((Absent, "are absent"), (Missing, "are missing")):
            with pytest.raises(AssertionError, match=message):
                generate(alone(make(residency=residency)), 16, 1)
