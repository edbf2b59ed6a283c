"""The model that the package carries: what its card says, and that it can do what it was trained for."""

import hashlib
import math
import re
import subprocess
import sys

import pytest

import kimi_cpu
from kimi_cpu.llm import BUNDLED_MODEL
from tools.train_demo.scores import COUNTS, agreement, prose_ids, score

QUESTIONS, SLACK = 12, 0.25  # a sample, and how much worse it may be than all held-out questions, which the card has
DEVIATIONS = 3.5  # of a sample where that is more, as it is of what the model can do half of the time
CARD = BUNDLED_MODEL.with_suffix(".md")


@pytest.fixture(scope="module")
def llm():
    with kimi_cpu.load(BUNDLED_MODEL) as llm:
        yield llm


@pytest.fixture
def unnamed(monkeypatch):
    """No model is named in the environment."""
    monkeypatch.delenv("KIMI_CPU_MODEL", raising=False)


def run(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "kimi_cpu", *args], capture_output=True, text=True, timeout=300)


def test_card_is_of_this_file():
    assert hashlib.sha256(BUNDLED_MODEL.read_bytes()).hexdigest() in CARD.read_text()
    assert BUNDLED_MODEL.stat().st_size <= 24 << 20


@pytest.mark.parametrize("task", COUNTS)
def test_held_out_questions_are_answered_as_the_card_says(llm, task):
    percent = re.search(rf"^\| {task} \| \d+ \| ([\d.]+)% \|", CARD.read_text(), re.MULTILINE)[1]
    share = float(percent) / 100
    by_chance = DEVIATIONS * math.sqrt(share * (1 - share) / QUESTIONS)
    assert score(llm, task, QUESTIONS)[0] >= share - max(SLACK, by_chance)


def test_rounding_costs_next_to_nothing(llm):
    with kimi_cpu.load(BUNDLED_MODEL, compute="f32", kv="f32") as f32:
        found = agreement(llm, f32, prose_ids(llm, 6))
    assert found.perplexity == pytest.approx(found.perplexity_f32, rel=0.005)
    assert found.mean_kl < 2e-3


def test_run_without_a_model_thinks_answers_and_says_what_it_is(unnamed):
    done = run("run", "--temp", "0", "What is 17 + 25?")  # greedy: of 300 drawn answers, 2 were wrong
    assert done.returncode == 0
    assert "42" in done.stdout and "Ones" not in done.stdout
    assert "7 + 5 = 12" in done.stderr
    assert re.search(r"bundled demonstration model, \d+\.\d million parameters; for real answers: ", done.stderr)


def test_python_without_a_model_gets_it(unnamed):
    with kimi_cpu.load() as llm:
        assert llm.path == BUNDLED_MODEL
        assert "42" in llm.chat([{"role": "user", "content": "What is 17 + 25?"}], temperature=0).content


def test_tokenize_without_a_model_reads_numbers_digit_by_digit(unnamed):
    done = run("tokenize", "17")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
