"""Several models at one batch: which gets what, and what happens when one is lost."""

import threading
import time

import pytest

from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.model import Answered, Grown, Lost, Tokens
from kimi_cpu.batch.pacing import Limit
from kimi_cpu.batch.pool import Pool
from kimi_cpu.batch.source import LONG, Window
from kimi_cpu.errors import ConfigError, EngineDeadError

from .fake import FakeModel, answer, answers, request, results, write
from .test_source import job

COUNTS = {f"q-{i}": 1 + i * 7 % 40 for i in range(90)}
EXPECTED = {name: answer(name, count) for name, count in COUNTS.items()}


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "in.jsonl", [request(name, count) for name, count in COUNTS.items()])


@pytest.mark.parametrize("ordered", [False, True])
def test_model_that_dies_twice_and_comes_back_once_costs_no_answer_and_repeats_none(source, tmp_path, ordered):
    models = [FakeModel(0.003), FakeModel(0.003), FakeModel(0.003)]
    run = Run(models, source, tmp_path / "out.jsonl", BatchOptions(ordered=ordered, parallel=4))
    mortal, begun_before = models[1], []

    def die():
        begun_before.append(len(mortal.order))
        mortal.die()
        if len(begun_before) == 1:
            mortal.at_step = mortal.num_steps + 150, die
            models[0].at_step = models[0].num_steps + 20, lambda: run.add(mortal)

    mortal.at_step = 100, die
    progress = run.run()
    assert answers(tmp_path / "out.jsonl") == EXPECTED
    assert not ordered or list(answers(tmp_path / "out.jsonl")) == list(COUNTS)
    assert (progress.num_done, progress.tally.completed, progress.num_failed) == (90, 90, 0)
    assert len(begun_before) == 2 and 4 <= begun_before[0] < begun_before[1] == len(mortal.order)
    begun = [name for model in models for name in model.order]
    num_moved = sum(len(model.withdrawn) for model in models)
    assert set(begun) == set(COUNTS) and 0 < len(begun) - len(COUNTS) - num_moved <= 8  # 4 at each death began again
    assert not (tmp_path / "out.jsonl.journal").exists()


def test_answer_of_a_lost_model_goes_on_from_the_ids_that_are_known(tmp_path):
    models = [FakeModel(0.004), FakeModel(0.004)]
    models[0].at_step = 50, models[0].die
    source = write(tmp_path / "in.jsonl", [request("a", 100), request("b", 100)])
    progress = Run(models, source, tmp_path / "out.jsonl", BatchOptions(parallel=2)).run()
    (lost,) = models[0].order
    known = models[1].resumed[lost]
    assert 0 < len(known) < 50 and known == answer(lost, 100)[: len(known)]
    assert progress.tally.num_generated == 201  # the last id that was known is generated again
    assert answers(tmp_path / "out.jsonl") == {"a": answer("a", 100), "b": answer("b", 100)}


def test_batch_without_a_model_ends_with_one_error_and_goes_on_with_the_same_command(source, tmp_path):
    output, models = tmp_path / "out.jsonl", [FakeModel(0.001), FakeModel(0.001)]
    for number, model in enumerate(models):
        model.at_step = 150 + 100 * number, model.die
    with pytest.raises(EngineDeadError, match=r"All models are lost.*machine is gone.*the same command goes on"):
        Run(models, source, output, BatchOptions(parallel=4)).run()
    before = results(output)
    assert 0 < len(before) < 90 and output.with_name("out.jsonl.journal").exists()
    fresh = FakeModel()
    progress = Run([fresh], source, output, BatchOptions(parallel=4)).run()
    assert progress.num_found == len(before) and answers(output) == EXPECTED
    assert not {line["custom_id"] for line in before} & set(fresh.order)


def test_replacement_is_taken_for_the_last_model(source, tmp_path):
    first, second = FakeModel(0.001), FakeModel()
    run = Run([first], source, tmp_path / "out.jsonl", BatchOptions(parallel=4))
    first.at_step = 100, lambda: (run.add(second), first.die())
    assert run.run().num_done == 90
    assert answers(tmp_path / "out.jsonl") == EXPECTED and first.order and second.order


def test_models_that_answer_otherwise_are_refused(source, tmp_path):
    models = [FakeModel(), FakeModel()]
    models[1].identity = {"model": "another"}
    with pytest.raises(ConfigError, match="models of a batch differ"):
        Run(models, source, tmp_path / "out.jsonl", BatchOptions())
    run = Run(models[:1], source, tmp_path / "out.jsonl", BatchOptions())
    with pytest.raises(ConfigError, match="models of a batch differ"):
        run.add(models[1])


class Still:
    """A model that does what the test tells it to."""

    lag_s = 0.0

    def __init__(self):
        self.identity, self.running, self.events, self.lost, self.withdrawn = {}, [], [], False, []

    def connect(self, wake):
        self.wake = wake

    def start(self, job, resume):
        self.running.append((job.prefix, list(resume)))

    def withdraw(self, key):
        self.withdrawn.append(key)

    def poll(self):
        if self.lost:
            raise Lost("It is gone.")
        events, self.events = self.events, []
        return events

    def tell(self, *events):
        self.events += events
        self.wake()

    def names(self):
        return [prefix[0] + prefix[-1] for prefix, _ in self.running]


def pool_of(models, limit=2):
    return Pool(models, lambda: Limit(limit, fixed=True))


def window_of(*prompts):
    window = Window(iter(enumerate(map(job, prompts))))
    while not window.is_empty and not window.has_jobs:
        window.fill()
    return window


def nothing_known(key, digest):
    return []


def long(letter, end):
    return letter * 3 * LONG + end


def test_requests_with_a_common_beginning_go_to_the_model_that_has_it():
    models = [Still(), Still()]
    pool = pool_of(models, limit=3)
    window = window_of(*(long(letter, end) for letter in "AB" for end in "123"))
    pool.admit(window, nothing_known)
    owners = {model.names()[0][0]: model for model in models}
    assert set(owners) == {"A", "B"}
    for letter, model in owners.items():  # its beginning is computed: the others need not wait any more
        model.tell(Grown(job(long(letter, "1")).key, [1]))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert {letter: model.names() for letter, model in owners.items()} == {
        "A": ["A1", "A2", "A3"],
        "B": ["B1", "B2", "B3"],
    }


def test_no_model_idles_while_the_one_that_has_the_beginning_is_full():
    models = [Still(), Still()]
    pool = pool_of(models, limit=2)
    window = window_of(*(long("A", end) for end in "1234"))
    pool.admit(window, nothing_known)
    assert sorted(len(model.running) for model in models) == [1, 1]  # the second computes it for itself
    for model in models:
        prefix, _ = model.running[0]
        model.tell(Grown(job(prefix).key, [1]))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert sorted(len(model.running) for model in models) == [2, 2] and window.is_empty


def test_a_model_runs_no_more_than_its_limit_and_jobs_are_shared_out_evenly():
    models = [Still(), Still(), Still()]
    pool = pool_of(models, limit=4)
    window = window_of(*(f"prompt {i}" for i in range(20)))
    pool.admit(window, nothing_known)
    assert [len(model.running) for model in models] == [4, 4, 4] and (pool.limit, len(pool.flights)) == (12, 12)


def test_model_that_learns_late_of_jobs_has_so_many_more_as_end_meanwhile():
    late, prompt = Still(), Still()
    late.lag_s = 0.5
    pool = pool_of([late, prompt], limit=4)
    window = window_of(*(f"prompt {i}" for i in range(40)))
    pool.admit(window, nothing_known)
    pool.observe(10.0)
    for model in (late, prompt):
        model.tell(*(Answered(job(name).key, {}, Tokens()) for name, _ in model.running))
    assert len(pool.wait(5)) == 8
    pool.observe(11.0)
    pool.admit(window, nothing_known)
    assert [len(model.running) - 4 for model in (late, prompt)] == [4 + 2, 4]
    pool.observe(12.0)  # none has ended
    late.tell(Answered(job(late.running[4][0]).key, {}, Tokens()))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert len(late.running) == 4 + 6


def test_job_of_a_lost_model_is_begun_again_without_the_last_id_that_is_known():
    models = [Still(), Still()]
    pool = pool_of(models, limit=1)
    window = window_of("a", "b")
    pool.admit(window, lambda key, digest: [7])
    first = models[0].running[0][0]
    models[0].tell(Grown(job(first).key, [8, 9]))
    pool.wait(5)
    models[0].lost = True
    models[0].wake()
    assert pool.wait(0.01) == []
    pool.admit(window, nothing_known)
    assert len(models[1].running) == 1 and len(pool.flights) == 2  # it is full
    other = models[1].running[0][0]
    models[1].tell(Answered(job(other).key, {}, Tokens()))
    (landed,) = pool.wait(5)
    assert landed.job.prefix == other
    pool.admit(window, nothing_known)
    assert models[1].running[1] == (first, [7, 8])
    assert pool.num_generated == 2


def test_answers_that_cannot_go_on_begin_again():
    models = [Still(), Still()]
    pool = pool_of(models, limit=1)
    pool.admit(window_of("a"), nothing_known)
    models[0].tell(Grown(job("a").key, [8, 9], resumable=False))
    pool.wait(5)
    models[0].lost = True
    models[0].wake()
    pool.wait(0.01)
    pool.admit(window_of(), nothing_known)
    assert models[1].running == [("a", [])]


def test_what_a_lost_model_says_afterwards_is_not_heard():
    models = [Still(), Still()]
    pool = pool_of(models, limit=1)
    pool.admit(window_of("a"), nothing_known)
    models[0].lost = True
    models[0].wake()
    pool.wait(0.01)
    models[0].lost = False
    models[0].tell(Answered(job("a").key, {}, Tokens()))
    assert pool.wait(0.01) == []


def sharing():
    """Two models of which the first has four jobs, and nothing is left for the second; the pool, and a window."""
    models = [Still(), Still()]
    pool = pool_of(models[:1], limit=4)
    window = window_of("a", "b", "c", "d")
    pool.observe(0.0)
    pool.admit(window, nothing_known)
    pool.add(models[1])
    return models, pool, window


def test_model_without_a_job_takes_over_the_latest_of_those_of_one_that_has_many():
    models, pool, window = sharing()
    models[0].tell(*(Grown(job(name).key, [1, 2]) for name in "abcd"))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert models[0].withdrawn == [job("d").key]  # a third of four, rounded: it has to begin them again
    assert models[1].running == [("d", [1])] and len(pool.flights) == 4
    models[1].tell(Grown(job("d").key, [2, 3]), Answered(job("d").key, {}, Tokens()))
    (landed,) = pool.wait(5)
    assert (landed.job.prefix, landed.ids, pool.num_generated) == ("d", [1, 2, 3], 10)


def test_last_job_moves_only_from_a_model_that_is_slow():
    models, pool, window = sharing()
    models[0].tell(*(Answered(job(name).key, {}, Tokens()) for name in "abc"), Grown(job("d").key, range(100)))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert models[1].running == []
    for second in range(1, 200):  # no more is heard of it, and nobody knows whether the other is faster
        pool.observe(float(second))
        pool.admit(window, nothing_known)
    assert models[1].running == []


def test_job_of_a_model_that_has_stopped_moves_to_one_that_goes_on():
    models = [Still(), Still()]
    pool, window = pool_of(models, limit=1), window_of("a", "b")
    pool.observe(0.0)
    pool.admit(window, nothing_known)
    slow, fast = sorted(models, key=lambda model: model.running[0][0])
    for second in range(1, 90):
        fast.tell(Grown(job("b").key, [second] * 5))
        pool.wait(0)
        pool.observe(float(second))
    fast.tell(Answered(job("b").key, {}, Tokens()))
    pool.wait(5)
    pool.admit(window, nothing_known)
    assert slow.withdrawn == [job("a").key] and fast.running[1] == ("a", [])


def test_answer_whose_prompt_took_long_stays_until_it_has_run_for_longer():
    models, pool, window = sharing()
    pool.observe(1000.0)
    models[0].tell(*(Grown(job(name).key, [1, 2]) for name in "abcd"))
    pool.wait(5)
    for now_s, num_moved in ((1001.0, 0), (2999.0, 0), (3000.0, 1)):
        pool.observe(now_s)
        pool.admit(window, nothing_known)
        assert len(models[0].withdrawn) == num_moved


def test_nothing_moves_while_there_are_new_jobs():
    models = [Still(), Still()]
    pool = pool_of(models[:1], limit=2)
    window = window_of("a", "b", "c")
    pool.admit(window, nothing_known)
    pool.add(models[1])
    pool.admit(window, nothing_known)
    assert models[0].withdrawn == [] and models[1].names() == ["cc"]


def test_run_that_may_get_more_models_waits_for_one(source, tmp_path):
    first, second = FakeModel(0.001), FakeModel()
    run = Run([first], source, tmp_path / "out.jsonl", BatchOptions(parallel=4), lasting=True)
    first.at_step = 100, first.die
    lost = []

    def report(progress):
        lost.append(first.lost)
        if lost.count(True) == 2:
            run.add(second)

    assert run.run(report).num_done == 90
    assert answers(tmp_path / "out.jsonl") == EXPECTED and second.order


def test_run_is_ended_by_whoever_knows_that_no_model_will_come(source, tmp_path):
    first = FakeModel(0.001)
    run = Run([first], source, tmp_path / "out.jsonl", BatchOptions(parallel=4), lasting=True)
    first.at_step = 100, lambda: (first.die(), run.fail(ConfigError("No host is left.")))
    with pytest.raises(ConfigError, match="No host is left"):
        run.run()
    assert Run([FakeModel()], source, tmp_path / "out.jsonl", BatchOptions()).run().num_done == 90
    assert answers(tmp_path / "out.jsonl") == EXPECTED


def test_loop_sleeps_while_answers_grow():
    model = Still()
    pool = pool_of([model])
    pool.admit(window_of("a"), nothing_known)
    model.tell(Grown(job("a").key, [1]))
    assert len(pool.wait(5)) == 1
    threading.Timer(0.05, model.tell, [Grown(job("a").key, [2])]).start()
    began = time.monotonic()
    assert pool.wait(0.3) == [] and time.monotonic() - began >= 0.3
    assert pool.flights[0].ids == [1, 2]
