"""Experts in slots: whatever fits, the same bits; whatever fails, no wrong ones."""

import errno
import random
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.errors import ModelFileError
from kimi_cpu.kernels import make_dispatch
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.modelfile.layout import aligned
from kimi_cpu.residency import (
    DenseWeights,
    LayerExperts,
    Policy,
    Reads,
    ResidentExperts,
    Residents,
    Slots,
    WeightsReader,
)
from tests import tiny
from tests.model.steps import Watching, alone, assert_same, generate, opened

COUNT, CHUNK = 6, 40
EXPERTS, LAYERS, TOP_K = 24, 4, 3
PIECES = 2  # that an expert is read in: gate and up, and the rest


@pytest.fixture(scope="module")
def path(tmp_path_factory, kernels_ready):
    folder = tmp_path_factory.mktemp("experts")
    shape = {"n_routed_experts": EXPERTS, "num_hidden_layers": LAYERS + 1, "num_experts_per_tok": TOP_K}
    shape["moe_intermediate_size"] = 192  # so that gate and up end in an earlier sector than down
    directory = tiny.make(folder / "checkpoint", seed=3, **shape)
    kimi_cpu.convert(directory, folder / "model.gguf")
    return folder / "model.gguf"


@pytest.fixture(scope="module")
def expected(path):
    with opened(path) as make:
        return generate(alone(make()), CHUNK, COUNT)


class Faulty:
    """A file whose reads of some bytes fail, as long as they are in `broken`, and wait while `gate` is cleared: all of
    them, or those at the offsets in `held`."""

    def __init__(self, path):
        self.file, self.broken, self.num_reads, self.gate = WeightsReader(path), set(), 0, threading.Event()
        self.gate.set()
        self.held = None

    def read(self, offset, room):
        if self.held is None or offset in self.held:
            self.gate.wait()
        self.num_reads += 1
        if offset in self.broken:
            raise ModelFileError(f"byte {offset} cannot be read")
        self.file.read(offset, room)

    def close(self):
        self.file.close()


class Strange:
    """Gives up anything, or nothing."""

    def __init__(self, seed):
        self.random, self.keys = random.Random(seed), set()

    def use(self, layer, experts, tokens, scores):
        assert len(experts) == len(tokens) > 0 and (np.diff(experts) > 0).all() and (tokens > 0).all()

    def victim(self, key, busy):
        assert key in busy and key not in self.keys
        free = sorted(self.keys - busy)
        if not free or self.random.random() < 0.3:
            return None
        victim = self.random.choice(free)
        self.keys.remove(victim)
        return victim

    def admit(self, key):
        assert key not in self.keys
        self.keys.add(key)

    def forget(self, key):
        self.keys.remove(key)


class Opened:
    """Residencies over one file, each with slots of its own."""

    def __init__(self, path):
        self.path, self.all = path, []

    def make(self, num_slots, num_passing, policy=None, num_readers=3):
        """What Kimi takes, of its weights."""

        def of(weights):
            with ModelFile.open(self.path) as file:
                layers = {
                    n: LayerExperts(
                        file.tensors[f"blk.{n}.ffn_exps.weight"].offset,
                        e.data.strides[0],
                        aligned(e.down_offset),
                        e.address,
                    )
                    for n, e in weights.experts().items()
                }
            self.source, self.layers = Faulty(self.path), layers
            chosen = policy or Policy(LAYERS + 1, EXPERTS, TOP_K)
            stride = next(iter(layers.values())).stride
            reads = Reads(self.source, num_readers)
            residents = Residents(layers, Slots(num_slots, stride), chosen, num_passing)
            self.all.append(ResidentExperts(residents, reads))
            return self.all[-1]

        return of

    def close(self):
        for residency in self.all:
            residency.close()


@pytest.fixture
def slots(path):
    opened_slots = Opened(path)
    yield opened_slots
    opened_slots.close()


@pytest.mark.parametrize(
    ("num_slots", "num_passing"), [(1, 1), (TOP_K, TOP_K), (9, 8), (20, 8), (50, 3), (EXPERTS * LAYERS, 1)]
)
@pytest.mark.parametrize("strange", [False, True])
def test_tokens_are_the_same_bits_with_any_number_of_slots(path, slots, expected, num_slots, num_passing, strange):
    policy = Strange(num_slots) if strange else None
    with opened(path) as make:
        assert_same(generate(alone(make(residency=slots.make(num_slots, num_passing, policy))), CHUNK, COUNT), expected)


def test_tokens_are_the_same_bits_while_slots_come_and_go(path, slots, expected):
    numbers, seen = random.Random(1), set()
    with opened(path) as make:
        model = make(residency=slots.make(EXPERTS * LAYERS, 4))
        residency, experts = slots.all[-1], model.weights.experts().values()

        def resized(batch):
            residency.aim(numbers.choice([0, 5, 9, 30, 1000]))
            result = alone(model)(batch)
            seen.add(residency.slots.num_open)
            assert sum(np.count_nonzero(e.address) for e in experts) <= residency.slots.num_open - 4
            assert residency.slots.num_touched <= residency.slots.num_open
            return result

        assert_same(generate(resized, CHUNK, COUNT), expected)
        residency.release()
        assert not any(e.address.any() for e in experts) and residency.slots.num_touched == 0
        assert_same(generate(resized, CHUNK, COUNT), expected)
    assert seen == {4, 5, 9, 30, EXPERTS * LAYERS}


def private_bytes():
    """Anonymous memory of this process."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\d+) kB", rollup, re.MULTILINE)[1]) << 10


def test_memory_of_closed_slots_is_the_system_s():
    before, slots = private_bytes(), Slots(16, 1 << 20)
    taken = [slots.take() for _ in range(16)]
    for slot in taken:
        slots.room(slot)[:] = 1
    assert private_bytes() - before > 15 << 20
    for slot in taken:
        slots.give(slot)
    slots.resize(4)
    assert private_bytes() - before < 7 << 20
    slots.resize(16)
    assert sorted(slots.take() for _ in range(16)) == list(range(16))
    slots.release()
    assert private_bytes() - before < 2 << 20


def test_gate_and_up_are_given_while_the_rest_of_an_expert_is_being_read(path, slots):
    experts, stop = np.array([1, 5, 9]), np.zeros(1, np.int64)
    dispatch = make_dispatch(1, EXPERTS, TOP_K)
    dispatch.active[:], dispatch.first[:], dispatch.num_active[0] = experts, range(TOP_K + 1), TOP_K
    with opened(path) as make:
        make(residency=slots.make(12, 4))
    layer = slots.layers[1]
    slots.source.held = {layer.offset + 9 * layer.stride + layer.front}
    slots.source.gate.clear()
    pairs = slots.all[-1].arrivals(1, dispatch, stop)
    given, ready = [], 0
    while len(given) < TOP_K:
        places, ready = next(pairs)
        given += places.tolist()
    assert sorted(given) == [0, 1, 2] and ready < TOP_K and layer.address[9]
    slots.source.gate.set()
    assert [ready for _, ready in pairs][-1] == TOP_K


def test_experts_that_stay_are_not_read_again(path, slots):
    with opened(path) as make:
        model = make(residency=slots.make(EXPERTS * LAYERS + 1, 1))
        generate(alone(model), 64, 2)
        before = slots.source.num_reads
        generate(alone(model), 64, 2)
        assert 0 < before == slots.source.num_reads <= PIECES * EXPERTS * LAYERS


def test_a_prompt_that_needs_all_experts_leaves_those_that_stay(path, slots):
    prompt = [[(7 * i) % 150 for i in range(64)]]
    with opened(path) as make:
        model = make(residency=slots.make(EXPERTS * LAYERS // 2 + 4, 4))
        counts = []
        for _ in range(3):
            before = slots.source.num_reads
            generate(alone(model), 64, 1, prompt)
            counts.append(slots.source.num_reads - before)
    assert max(counts[1:]) <= PIECES * (EXPERTS * LAYERS // 2 + LAYERS * TOP_K)


def test_an_expert_that_cannot_be_read_ends_its_step_and_no_other(path, slots, expected):
    with opened(path) as make:
        model = make(residency=slots.make(12, 4))
        with ModelFile.open(path) as file:
            tensor = file.tensors["blk.2.ffn_exps.weight"]
        numbers, failed = random.Random(0), []

        def sometimes(batch):
            while True:
                slots.source.broken = {tensor.offset + numbers.randrange(EXPERTS) * tensor.shape[1]}
                try:
                    return model.forward(batch, Watching())
                except ModelFileError as e:
                    failed.append(str(e))

        assert_same(generate(sometimes, CHUNK, COUNT), expected)
    assert failed and all("cannot be read" in message for message in failed)


def test_a_step_that_is_stopped_while_the_disk_stalls_leaves_the_next_ones_whole(path, slots, expected):
    with opened(path) as make:
        model = make(residency=slots.make(11, 4))

        def stalls(batch):
            slots.source.gate.clear()
            watch = Watching()
            threading.Timer(0.02, lambda: watch.stop.__setitem__(0, 1)).start()
            ended = model.forward(batch, watch)
            slots.source.gate.set()
            return ended if ended is not None else model.forward(batch, Watching())

        assert_same(generate(stalls, CHUNK, COUNT), expected)


def test_weights_outside_the_experts_are_copied_bit_for_bit(path):
    with ModelFile.open(path) as mapped, ModelFile.open(path) as file:
        reads, told = Reads(WeightsReader(path)), []
        dense = DenseWeights(file, reads)
        with pytest.raises(ZeroDivisionError):
            dense.read(lambda *progress: 1 / 0)
        dense.read(lambda *progress: told.append(progress))
        dense.release()
        assert not file.view("output.weight").any()
        dense.read()
        reads.close()
        for name in file.tensors:
            assert np.array_equal(file.view(name), mapped.view(name)) and not file.view(name).flags.writeable
            is_copy = file.view(name).ctypes.data != mapped.view(name).ctypes.data
            assert file.view(name).base is not mapped.view(name).base and is_copy
    assert told[-1][0] == told[-1][1] > 0


def test_a_file_that_was_cut_short_is_one_sentence(path, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(path.read_bytes())
    with ModelFile.open(path) as file:
        tensor = file.tensors["blk.4.ffn_exps.weight"]
    reader = WeightsReader(cut)
    room = Slots(1, tensor.shape[1]).room(0)
    with cut.open("r+b") as file:
        file.truncate(tensor.offset + 100)
    with pytest.raises(ModelFileError, match=r"cut\.gguf ends at byte .* cut short while it was in use"):
        reader.read(tensor.offset, room)
    reader.close()


def test_a_disk_that_fails_is_one_sentence(path):
    reader = WeightsReader(path)
    reader.close()  # any error of the system's
    with pytest.raises(ModelFileError, match=f"cannot be read .{errno.errorcode[errno.EBADF]}|Bad file descriptor"):
        reader.read(0, Slots(1, 4096).room(0))


def test_buffered_reads_are_the_same_bytes(path, monkeypatch):
    monkeypatch.delattr("os.O_DIRECT")  # as on macOS
    reader, direct = WeightsReader(path), path.read_bytes()
    room = Slots(1, 16 * 4096).room(0)
    reader.read(4096, room)
    assert not reader.is_direct and room.tobytes() == direct[4096 : 17 * 4096]
    reader.close()


@pytest.mark.parametrize("are_pinned", [True, False])
def test_experts_leave_unless_they_are_pinned(path, slots, are_pinned):
    first = np.zeros((LAYERS + 1, EXPERTS), np.float32)
    first[LAYERS, :3] = 1e-6
    with opened(path) as make:
        model = make(residency=slots.make(12, 4))
        slots.all[-1].fill(np.zeros_like(first) if are_pinned else first, first if are_pinned else np.zeros_like(first))
        address = model.weights.layers[LAYERS].mlp.experts.address
        before = address[:3].copy()
        assert before.all() and slots.source.num_reads == 3 * PIECES
        generate(alone(model), 64, COUNT)
        assert np.array_equal(address[:3], before) == are_pinned
        slots.all[-1].aim(0)
        slots.all[-1].settle()
        assert not address.any(), "memory is short"


def test_experts_that_were_hot_come_back_in_place_of_others(path, slots):
    prompts = [[(7 * i) % 150 for i in range(9)]], [[(11 * i) % 90 for i in range(9)]]
    with opened(path) as make:
        model = make(residency=slots.make(20, 4))
        residency, experts = slots.all[-1], model.weights.experts()

        def resident():
            return {(n, e) for n, x in experts.items() for e in np.flatnonzero(x.address).tolist()}

        generate(alone(model), 64, COUNT, prompts[0])
        heat, data = residency.heat, residency.heat_bytes()
        generate(alone(model), 64, COUNT, prompts[1])
        before = resident()
        residency.recall(b"of another model")
        assert resident() == before
        residency.recall(data)
        hottest = sorted(np.ndindex(heat.shape), key=lambda key: -heat[key])[:16]
        assert len(resident() & {*hottest}) >= 15 and len(resident()) == 16 and resident() != before
        first = generate(alone(model), 64, COUNT, prompts[0])
    with opened(path) as make:
        assert_same(first, generate(alone(make()), 64, COUNT, prompts[0]))
