"""The numbers that only speed depends on: no bit of a result does, and what was measured is kept for this machine."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

from kimi_cpu import kernels
from kimi_cpu.kernels import Recorder, cases, micro, runtime, tuner
from kimi_cpu.kernels.codegen import jit
from kimi_cpu.kernels.tuning import DEFAULT, SETTINGS, Tuning, TuningFile

CORNERS = [
    {name: setting.candidates[0] for name, setting in SETTINGS.items()},
    {name: setting.candidates[-1] for name, setting in SETTINGS.items()},
    *(DEFAULT.values | {name: setting.candidates[end]} for name, setting in SETTINGS.items() for end in (0, -1)),
    *(DEFAULT.values | {"stream_int4": way, "stream_q8": way} for way in SETTINGS["stream_q8"].candidates),
]
CASES = [
    *(cases.linear(kind, True, t, 700, 2048, more=33) for kind in ("int4", "q8") for t in (1, 4, 37)),
    *(cases.linear(kind, False, 3, 100, 96) for kind in ("int4", "q8", "bf16")),
    cases.gate_up("q8", True, 3, 700, 256),
    *(cases.experts_gate_up("int4", True, t, 6, 2, 416, 256, shared=("q8", 75)) for t in (1, 9, 40)),
    *(cases.experts_down("int4", True, t, 6, 2, 416, 256, shared=("q8", 75)) for t in (1, 9, 40)),
    cases.absorb_queries("q8", 5, 3, 36, 8, 300),
    cases.attend_absorbed("int8", [2100, 64], 40, 70, 8),
]


@contextmanager
def tuned(values):
    before = runtime.context().copy()
    runtime.tune(Tuning(values, measured=False))
    try:
        yield
    finally:
        runtime.context()[:] = before


@pytest.fixture(params=[1, 2])
def threads(request):
    runtime.configure(request.param)
    yield
    runtime.configure()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_bit_depends_on_the_tuning(case, threads):
    problem = case.build(np.random.default_rng(0))
    before, expected = [array.copy() for array in problem.outputs], None
    for values in CORNERS:
        for array, start in zip(problem.outputs, before, strict=True):
            array[...] = start
        with tuned(values):
            getattr(kernels, case.kernel)(*problem.arguments)
        found = [array.tobytes() for array in problem.outputs]
        assert found == (expected := expected or found), values


def test_every_tile_and_size_has_a_word():
    values = {name: 1000 + i for i, name in enumerate(SETTINGS)} | {"stream_int4": 1, "stream_q8": 0}
    addresses = runtime.library().addresses
    with tuned(values):
        context = runtime.context()
        assert (context[micro.AHEAD :] >= 1000).all()
        assert context[micro.AHEAD + micro.INDEX["tile_int4_int8_1"]] == values["ahead_int4_one"]
        assert context[micro.AHEAD + micro.INDEX["tile_int4_int8_4"]] == values["ahead_int4_few"]
        assert context[micro.AHEAD + micro.INDEX["tile_q8_int8_5"]] == values["ahead_q8_many"]
        assert context[micro.AHEAD + micro.INDEX["tile_bf16_f32_1"]] == values["ahead_f32"]
        assert [context[i] for i in micro.SIZE.values()] == [values[name] for name in micro.SIZE]
        assert context[micro.INDEX["tile_int4_int8_1"]] == addresses[micro.INDEX["stream_int4_L1_16"]]
        assert context[micro.INDEX["tile_q8_int8_1"]] == addresses[micro.INDEX["tile_q8_int8_1"]]


def test_what_was_measured_is_kept_for_this_cpu_tier_and_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    values = CORNERS[1]
    assert TuningFile(jit.CACHE, "avx2", 2).load() is DEFAULT
    TuningFile(jit.CACHE, "avx2", 2).save(values, [])
    assert TuningFile(jit.CACHE, "avx2", 2).load() == Tuning(values, measured=True)
    assert TuningFile(jit.CACHE, "avx2", 1).load() == Tuning(values, measured=False), "better than nothing"
    assert TuningFile(jit.CACHE, "portable", 2).load() is DEFAULT
    monkeypatch.setattr("kimi_cpu.kernels.tuning.cpu_model", lambda: "another")
    assert TuningFile(jit.CACHE, "avx2", 2).load() is DEFAULT


@pytest.mark.parametrize(
    "change", [lambda r: "", lambda r: "[]", lambda r: "{", lambda r: json.dumps(r | {"values": {}})]
)
def test_a_record_that_is_not_whole_counts_as_none(change, tmp_path, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    file = TuningFile(jit.CACHE, "avx2", 2)
    file.save(CORNERS[0], [])
    (path,) = tmp_path.iterdir()
    path.write_text(change(json.loads(path.read_text())))
    assert file.load() is DEFAULT


@pytest.mark.parametrize("value", [-1, 1 << 40, "many", None])
def test_values_that_nobody_tries_are_not_believed(value, tmp_path, monkeypatch):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    file = TuningFile(jit.CACHE, "avx2", 2)
    file.save(CORNERS[0] | {"streams": value}, [])
    assert file.load() is DEFAULT


def test_where_nothing_can_be_kept_nothing_is(tmp_path, monkeypatch):
    for folder in (None, tmp_path / "missing"):
        monkeypatch.setattr(jit.CACHE, "folder", folder)
        TuningFile(jit.CACHE, "avx2", 2).save(CORNERS[0], [])
        assert TuningFile(jit.CACHE, "avx2", 2).load() is DEFAULT


def test_a_program_follows_a_tuning_that_comes_later():
    """Its calls have the address of the context, not its words: `streams` beyond what a buffer holds would show."""
    problem = cases.linear("q8", True, 1, 64, 64).build(np.random.default_rng(0))
    k = Recorder()
    k.linear(*problem.arguments)
    program = k.compile()
    with tuned(CORNERS[1]):
        program.run()
        assert program.calls[0].arguments[0] is runtime.context()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A search that takes no time."""
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    for name, value in {
        "MEMORY_BYTES": 48 << 20,
        "HIDDEN": 1024,
        "WIDTH": 256,
        "HEADS_WIDTH": 4096,
        "ROUNDS": 1,
    }.items():
        monkeypatch.setattr(tuner, name, value)
    monkeypatch.setattr(tuner, "LEAST_MEMORY", 0)
    monkeypatch.setattr(tuner, "QUIET", 0.0)


def test_a_search_settles_every_setting_and_keeps_what_it_measured(small, tmp_path):
    steps = []
    assert tuner.tune(lambda done, total: steps.append((done, total))) is None
    assert steps[-1][0] == len(steps)
    (path,) = tmp_path.glob("tuning-*.json")
    record = json.loads(path.read_text())
    assert [figure["name"] for figure in record["measured"]] == [name for _, names in tuner.PLAN for name in names]
    assert sorted(record["values"]) == sorted(SETTINGS)
    assert all(record["values"][name] in SETTINGS[name].candidates for name in SETTINGS)
    assert runtime.tuning().measured


def test_a_busy_machine_keeps_nothing(small, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner, "QUIET", 1e9)
    assert "warmup --tune" in tuner.tune()
    assert not list(tmp_path.glob("tuning-*.json"))


def test_a_process_with_little_memory_is_not_burdened(monkeypatch, tmp_path):
    monkeypatch.setattr(jit.CACHE, "folder", tmp_path)
    monkeypatch.setattr(tuner, "usable_memory", lambda: 1 << 30)
    monkeypatch.setattr(tuner, "Tuner", lambda: pytest.fail("tuned"))
    assert "too little memory" in tuner.tune()
    assert not tuner.IdleTuner()()


def test_an_idle_thread_tunes_its_kernels_once(small, tmp_path, monkeypatch):
    before = runtime.context().copy()
    idle, calls = tuner.IdleTuner(), 0
    while idle():
        calls += 1
    assert calls > len(SETTINGS) and runtime.tuning().measured
    monkeypatch.setattr(tuner, "Tuner", lambda: pytest.fail("tuned again"))
    assert not tuner.IdleTuner()()
    runtime.context()[:] = before


def test_between_two_steps_the_kernels_run_as_before(small):
    before = runtime.context().copy()
    search = tuner.Tuner()
    for _ in range(20):
        assert search.step()
        assert np.array_equal(runtime.context(), before)


def test_what_is_not_begun_in_time_keeps_its_default(small, monkeypatch):
    monkeypatch.setattr(tuner, "SECONDS", 0.0)
    search = tuner.Tuner()
    assert not search.step()
    assert runtime.tuning().values == DEFAULT.values
