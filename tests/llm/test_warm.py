"""A model that does not fit begins with the experts that its last run used most of late."""

import json
import os

import pytest

import kimi_cpu
from kimi_cpu.llm import open_model
from kimi_cpu.residency import heat

from .test_memory import OPTIONS, least
from .test_memory import path as path  # a fixture

PROMPT = [(11 * i) % 90 + 3 for i in range(20)]


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Where models leave their heat."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "kimi-cpu" / "heat"


@pytest.fixture
def ask(path):
    """Ids of an answer, and how many experts were not there, of a model that has room for a third of them."""
    with kimi_cpu.load(path, **OPTIONS) as llm:
        budget = least(path, **OPTIONS) + 18 * llm.needs.expert

    def answer(**options):
        with open_model(path, memory=budget, **OPTIONS, **options) as llm:
            ids = llm.generate(PROMPT, max_tokens=12, temperature=0, ignore_eos=True).token_ids
            state = llm.experts_state()
            return ids, state.num_uses - state.num_hits

    return answer


def test_the_next_run_begins_with_what_the_last_one_used(state, ask):
    cold, warm = ask(), ask()
    assert [file.suffix for file in state.iterdir()] == [".json"]
    assert warm[0] == cold[0] and warm[1] <= cold[1] - 8
    assert ask(preload=False) == cold


def test_pinned_experts_are_there_when_a_run_begins(state, ask, path):
    cold = ask()
    with open_model(path, **OPTIONS, record_experts=True) as llm:
        llm.generate(PROMPT, max_tokens=12, temperature=0, ignore_eos=True)
        assert heat.pin(heat.Heat(llm.model_hash, llm.expert_uses()), 0.2) == round(0.2 * 64)
    for file in state.iterdir():
        file.unlink()
    pinned = ask()
    assert pinned[0] == cold[0] and pinned[1] <= cold[1] - 8


def test_progress_is_told_of_what_is_read(state, ask):
    told = []
    for _ in range(2):
        told.append([])
        ask(progress=lambda done, total: told[-1].append((done, total)))
    (*_, cold), (*_, warm) = told
    assert warm[0] == warm[1] != cold[1] == cold[0], "the weights outside the experts come first"


@pytest.mark.parametrize("damage", [b"", b"{}", "another model"])
def test_heat_that_cannot_be_used_is_none(state, ask, damage):
    cold = ask()
    (file,) = state.iterdir()
    if isinstance(damage, bytes):
        file.write_bytes(damage)
    else:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "0" * 64}))
    assert ask() == cold
    assert len(ask()[0]) and json.loads(file.read_text())["model"] != "0" * 64, "it is written anew"


def test_a_run_whose_home_takes_no_files_answers_as_well(tmp_path, monkeypatch, ask):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert ask() == ask()
    assert not os.path.isdir(tmp_path / "file")
