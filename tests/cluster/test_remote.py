"""Engines on other hosts as models of a batch, with everything that crosses but without Ray."""

from dataclasses import replace

import pytest

import kimi_cpu
from kimi_cpu.batch import BatchOptions, Run
from kimi_cpu.batch.answers import LanguageModel
from kimi_cpu.batch.model import Answered, Grown, Lost

from ..batch.fake import request, results, write
from ..batch.test_source import job
from .here import engine, work

REQUESTS = [request(f"q-{i}", 5 + i * 11 % 60, ignore_eos=True, temperature=1) for i in range(40)]


@pytest.fixture
def engines(tiny_file):
    made = [engine(tiny_file) for _ in range(2)]
    yield made
    for handle, _ in made:
        handle.close()


def answers(path):
    """Lines by custom_id, without what no run repeats."""
    found = {}
    for line in results(path):
        body = line["response"]["body"]
        body["created"] = body["usage"]["prompt_tokens_details"]["cached_tokens"] = 0
        assert found.setdefault(line["custom_id"], line) is line, "a result stands twice in the output"
    return found


@pytest.fixture(scope="module")
def expected(tiny_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    source = write(folder / "in.jsonl", REQUESTS)
    with kimi_cpu.load(tiny_file, context=512, parallel=4) as llm:
        model = LanguageModel(llm, 7, {"max_tokens": 20}, work(tiny_file).loading)
        Run([model], source, folder / "out.jsonl", BatchOptions()).run()
    return answers(folder / "out.jsonl")


def test_lines_are_those_of_one_process_digests_and_all(engines, expected, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    run = Run([model for _, model in engines], source, tmp_path / "out.jsonl", BatchOptions(parallel=4))
    assert run.run().num_done == 40
    assert answers(tmp_path / "out.jsonl") == expected


def test_engine_that_dies_costs_nothing(engines, expected, tmp_path):
    source = write(tmp_path / "in.jsonl", REQUESTS)
    (mortal, first), (_, second) = engines
    run = Run([first], source, tmp_path / "out.jsonl", BatchOptions(parallel=4, ordered=True), lasting=True)

    to_come = [second]

    def report(progress):
        if not mortal.is_dead:
            mortal.die()
        elif first.is_lost and to_come:
            run.add(to_come.pop())

    run.run(report)
    assert mortal.is_dead and answers(tmp_path / "out.jsonl") == expected
    assert list(answers(tmp_path / "out.jsonl")) == [f"q-{i}" for i in range(40)]


def test_answer_that_was_withdrawn_is_not_heard_and_may_be_begun_again(engines):
    (_, model), _ = engines
    woken = []
    model.connect(lambda: woken.append(True))
    question = job("abc")
    told = []
    for _ in range(3):
        model.start(question, [])
        model.withdraw(question.key)
    model.start(question, [])
    while not any(isinstance(event, Answered) for event in told):
        told += model.poll()
    ids = [token_id for event in told if isinstance(event, Grown) for token_id in event.ids]
    (answered,) = (event for event in told if isinstance(event, Answered))
    assert len(ids) == answered.tokens.completion == answered.body["usage"]["completion_tokens"]
    assert woken


def test_answer_that_was_withdrawn_is_computed_no_more(engines):
    (handle, model), _ = engines
    model.connect(lambda: None)
    long = replace(job("abc"), body={"prompt": "abc", "max_tokens": 450, "ignore_eos": True})
    model.start(long, [])
    model.withdraw(long.key)
    model.start(job("a"), [])
    while not model.poll():
        pass
    assert long.key not in handle.actor.model._answers


def test_host_that_runs_out_of_memory_is_lost_and_not_the_run(engines):
    (handle, model), _ = engines
    model.connect(lambda: None)

    def start(question, resume):
        raise MemoryError("1 GiB cannot be had.")

    handle.actor._model.start = start
    model.start(job("abc"), [])
    with pytest.raises(Lost, match=r"engine on here is gone. It said: 1 GiB cannot be had"):
        while True:
            model.poll()
    assert model.is_lost
