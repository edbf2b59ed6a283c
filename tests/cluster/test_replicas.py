"""A server's engines on other hosts, with everything that crosses but without Ray: they say what one of this process
says, also when one is lost."""

from dataclasses import replace

import pytest

import kimi_cpu
from kimi_cpu.errors import ConfigError, EngineDeadError, EngineStartingError
from tests.tiny import WEATHER_TOOL

from .here import replica, replicated, work

HELLO = [{"role": "user", "content": "Hello"}]
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
}
ASKED = {  # kind of request: how it is asked, and options
    "drawn": (HELLO, {"seed": 5, "max_tokens": 30}),
    "greedy": (HELLO, {"temperature": 0, "max_tokens": 30, "no_think": True}),
    "raw": ("abc", {"seed": 5, "max_tokens": 30, "ignore_eos": True, "presence_penalty": 0.5}),
    "logprobs": ("abc", {"seed": 5, "max_tokens": 9, "logprobs": 2, "logit_bias": {7: -3.5}}),
    "schema": (HELLO, {"seed": 5, "max_tokens": 60, "response_format": FORM, "no_think": True}),
    "tools": (HELLO, {"seed": 5, "max_tokens": 60, "tools": [WEATHER_TOOL], "tool_choice": "required"}),
    "thinking": (HELLO, {"seed": 5, "max_tokens": 30, "think_budget": 5}),
    "stop": ("abc", {"seed": 5, "max_tokens": 60, "stop": ["e", "a"], "ignore_eos": True}),
}


@pytest.fixture(scope="module")
def llm(tiny_file):
    with kimi_cpu.load(tiny_file, **work(tiny_file, context=4096).loading) as llm:
        yield llm


@pytest.fixture
def engines(tiny_file):
    made = [replica(tiny_file, f"host {number}") for number in range(2)]
    yield made
    for handle, _ in made:
        handle.close()


@pytest.fixture
def model(tiny_file, engines):
    made = replicated(tiny_file, [one for _, one in engines], ["host 0", "host 1"])
    yield made
    made.close()


def said(answer):
    """An answer without what no run repeats."""
    usage = replace(answer.usage, cached_tokens=0)
    return replace(answer, timings=None, usage=usage)


def test_answers_are_those_of_one_process(llm, model):
    for prompt, options in ASKED.values():
        expected = [said(handle.result()) for handle in llm.samples(prompt, 2, **options)]
        assert [said(handle.result()) for handle in model.samples(prompt, 2, **options)] == expected
    options = {"seed": 3, "max_tokens": 20, "heavy": 3}
    assert model.chat(HELLO, **options).content == llm.chat(HELLO, **options).content


def test_prompt_that_was_computed_is_found_again_and_idle_engines_are_used(model):
    talk = [{"role": "user", "content": "x" * 200}]
    handles = [model.submit(talk, max_tokens=100, ignore_eos=True) for _ in range(2)]
    assert {engine.num_open for engine in model._replicas.ready.values()} == {1}
    for handle in handles:
        handle.cancel()
    assert {engine.num_open for engine in model._replicas.ready.values()} == {0}
    turn = model.chat(talk, max_tokens=5)
    talk += [turn.message(), {"role": "user", "content": "y"}]
    assert model.chat(talk, max_tokens=5).usage.cached_tokens >= 192


def test_sessions_are_not_kept_in_files(model, tmp_path):
    session = model.session()
    model.chat(HELLO, session=session, max_tokens=5)
    assert session.num_tokens
    with pytest.raises(ConfigError, match="cannot be kept in a session file"):
        session.save(tmp_path / "talk")


@pytest.mark.parametrize("kind", ["drawn", "schema", "logprobs"])
def test_answer_goes_on_where_its_engine_was_lost(engines, model, llm, kind):
    prompt, options = ASKED[kind]
    options = options | {"max_tokens": 500, "ignore_eos": True}
    expected = said(llm.submit(prompt, **options).result())
    handle = model.submit(prompt, **options)
    pieces = iter(handle)
    while not next(pieces).token_ids:
        pass
    mortal, host = next((handle, one.host) for handle, one in engines if one.num_open)
    mortal.die()
    assert said(handle.result()) == expected
    assert [name for name, state in model.engines().items() if state is None] == [host]


def test_request_under_which_engines_die_gets_an_error_and_new_ones_wait_for_an_engine(tiny_file, engines, model):
    handle = model.submit("abc", max_tokens=4000, ignore_eos=True)
    for _ in range(2):
        mortal = next(handle for handle, one in engines if one.num_open and not one.is_lost)
        mortal.die()
        while len(model._replicas.ready) == sum(not dead.is_dead for dead, _ in engines) + 1:
            pass
    with pytest.raises(EngineStartingError, match="being started"):
        model.submit("abc")
    another, third = replica(tiny_file, "host 0")
    model._replicas.add(third)
    another.die()
    with pytest.raises(EngineDeadError, match="3 engines were lost while they ran this request, the last on host 0"):
        handle.result()
    another.close()


@pytest.mark.parametrize("is_lost", [False, True])
def test_thinking_ends_and_answers_end_when_they_are_told_to(engines, model, is_lost):
    names = model.tokenizer.special_tokens
    never = {token_id: -100 for name, token_id in names.items() if name != "<think>"}
    options = {"logit_bias": never, "max_tokens": 4000, "ignore_eos": True, "seed": 2}
    handle = model.submit(HELLO, resume=[names["<think>"]], **options)
    mortal = next(engine for engine, one in engines if one.num_open)
    for number, piece in enumerate(handle):
        if number == 5:
            handle.answer_now()
            if is_lost:
                mortal.die()
        if piece.content:
            break
    handle.cancel()
    turn = handle.result()
    assert turn.reasoning_content.endswith("will answer now.") and turn.finish_reason == "cancelled"
    assert model._replicas._tasks == {}


def test_model_that_is_closed_says_so(model):
    handle = model.submit("abc", max_tokens=4000, ignore_eos=True)
    model.close()
    for act in (handle.result, model.state, lambda: model.generate("abc")):
        with pytest.raises(EngineDeadError, match="was closed"):
            act()
