"""A sample of `python -m tools.fuzz`: changed files of every kind are answered or refused in a sentence."""

import json
from pathlib import Path

import pytest

from tools.fuzz import driver
from tools.fuzz.kinds import KINDS, WHOLE
from tools.fuzz.outcome import ANSWERED, REFUSED, Fault, attempt
from tools.fuzz.worker import make_case

SAMPLE = {"model": 60, "checkpoint": 15, "gguf": 15, "session": 15, "cache": 5, "journal": 5}
SEED = 2026
MEMORY_MIB = 6144


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """The good files of the quickest kinds."""
    folder = tmp_path_factory.mktemp("good")
    driver.prepare(folder, ["model", "gguf"])
    return folder


def test_every_kind_of_file_has_a_share_of_the_sample_and_of_the_whole():
    assert KINDS.keys() == WHOLE.keys() == SAMPLE.keys()


def test_changed_files_are_answered_or_refused_in_a_sentence():
    cases = [(kind, SEED, number) for kind, count in SAMPLE.items() for number in range(count)]
    report = driver.run(cases, workers=2, memory_mib=MEMORY_MIB, keep=None)
    assert report.failures == []
    assert {kind: sum(counter.values()) for kind, counter in report.counts.items()} == SAMPLE
    assert all(set(counter) <= {ANSWERED, REFUSED} for counter in report.counts.values())
    assert report.counts["model"][ANSWERED] > 5, "changes that hurt nothing must be among them"


@pytest.mark.parametrize("kind", ["model", "gguf"])
def test_a_case_is_the_same_whenever_it_is_made(good, tmp_path, kind):
    for number in range(8):
        stored = []
        for again in ("once", "twice"):
            path = tmp_path / f"{again}-{number}"
            make_case(kind, SEED, number, good, path)
            file = path / "source.gguf" if path.is_dir() else path
            stored.append(file.read_bytes())
        assert stored[0] == stored[1]


def test_worker_that_ends_is_told_with_its_last_words_and_replaced(tmp_path):
    """A kind of cases that nobody knows ends a worker."""
    driver.prepare(tmp_path, ["session"])
    (tmp_path / "work").mkdir()
    batch = [("no such kind", SEED, 0), ("session", SEED, 0)]
    outcomes = list(driver._batch(batch, tmp_path, tmp_path / "work", MEMORY_MIB, None))
    assert [outcome for _, outcome, _ in outcomes][0] == "crash"
    assert "no such kind" in outcomes[0][2]
    assert outcomes[1][1] in (ANSWERED, REFUSED)


def test_exception_of_another_class_and_a_text_that_is_no_sentence_are_faults():
    from kimi_cpu.errors import ConfigError, ModelFileError

    def fail(error):
        raise error

    assert attempt(lambda: 3) == (3, None)
    assert attempt(lambda: fail(ModelFileError("x.gguf: is corrupt.")), names="x.gguf") == (None, "x.gguf: is corrupt.")
    for error in (ConfigError("x"), ModelFileError("two\nlines"), ModelFileError("a" * 1000), ModelFileError("")):
        with pytest.raises(Fault):
            attempt(lambda error=error: fail(error))
    with pytest.raises(Fault, match="is not named"):
        attempt(lambda: fail(ModelFileError("something is corrupt.")), names="x.gguf")


def test_report_says_how_to_repeat_a_failure():
    report = driver.Report()
    report.add(("model", 7, 113), "crash", "signal 11")
    report.add(("model", 7, 114), ANSWERED, "")
    assert json.loads(json.dumps(report.as_dict())) == {
        "seconds": 0.0,
        "counts": {"model": {"crash": 1, ANSWERED: 1}},
        "failures": [
            {
                "case": "python -m tools.fuzz --kind model --seed 7 --case 113",
                "outcome": "crash",
                "more": "signal 11",
            }
        ],
    }
