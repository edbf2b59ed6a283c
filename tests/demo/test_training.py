"""Training: the loss falls, and a run that is begun again goes on as if it had not been ended."""

import json
import shutil

import pytest

torch = pytest.importorskip("torch")

from tools.train_demo import recipe, train  # noqa: E402

SMALL = {"hidden_size": 256, "intermediate_size": 128, "num_hidden_layers": 2, "n_routed_experts": 4}


@pytest.fixture
def run(tokenizer_directory, tmp_path, monkeypatch):
    """A directory for a run of eight small steps in two phases, with checkpoints after each four."""
    shutil.copytree(tokenizer_directory, tmp_path / "tokenizer")
    phases = (recipe.Phase("core", 3, 4, 0.02, 4e-3), recipe.Phase("tasks", 4, 8, 0.02, 4e-3))
    small = {"CONFIG": recipe.CONFIG | SMALL, "PHASES": phases, "STEPS": 8, "FALL_STEPS": 4, "WARMUP_STEPS": 1}
    for name, value in (small | {"TOKENS": 1024, "LONGEST": 512, "STREAMS": 2, "PART": 2}).items():
        monkeypatch.setattr(recipe, name, value)
    monkeypatch.setattr(train, "SCORED", ["prose", "told"])
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    return tmp_path


def losses(run):
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def test_a_run_that_is_begun_again_learns_the_same(run):
    train.Trainer(run, "cpu").run_to(4)
    begun = train.Trainer(run, "cpu")
    assert begun.step == 4
    begun.run_to(8)
    found = losses(run)
    (run / "latest").unlink()
    (run / "log.jsonl").unlink()
    train.Trainer(run, "cpu").run_to(8)
    assert losses(run) == pytest.approx(found, rel=1e-3)
    assert found[8] < found[1] - 0.5
    scores = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["scores"]
    assert set(scores) == {"prose", "told"} and scores["told"] == 0
