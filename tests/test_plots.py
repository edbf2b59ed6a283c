"""benchmarks/plots.py draws what benchmarks/engine.py wrote, and docs/performance.md shows what it drew."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PERFORMANCE = ROOT / "docs" / "performance.md"


def run(row: str, threads: int, rates: dict[str, list[float]]) -> dict:
    """A run as benchmarks/engine.py writes it, on a machine of 50 GB/s and 400 GMAC/s."""
    return {
        "row": row,
        "threads": threads,
        "isa": "avx2",
        "begun": "2026-01-01 00:00:00",
        "machine": {"cpu": "A CPU", "cores": 2, "commit": "abc"},
        "model_bytes": 1_000,
        "about": {engine: {"version": "1"} for engine in rates},
        "pieces": {
            engine: {"rate": values, "reader": [50e9] * len(values), "macs": [400e9] * len(values)}
            for engine, values in rates.items()
        },
        "needs": {"kimi-cpu f16": {"bytes": 1e9, "macs": 2e9}},
    }


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A folder with the results of two rows, one of them beside no peer."""
    runs = [
        run("tg64", 2, {"kimi-cpu f16": [40.0, 44.0, 48.0], "a peer": [20.0, 40.0, 32.0], "a slow peer": [1.0] * 3}),
        run("pp512", 2, {"kimi-cpu f16": [150.0, 150.0]}) | {"needs": {"kimi-cpu f16": {"bytes": 1e6, "macs": 2e9}}},
    ]
    (tmp_path / "results-engine-avx2.json").write_text(json.dumps({"runs": runs}))
    return tmp_path


def plots(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "plots.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_picture_names_every_row_engine_and_rate(sample):
    done = plots("--results", sample, "--out", sample / "out")
    assert done.returncode == 0, done.stderr
    text = " ".join(ElementTree.parse(sample / "out" / "engine-avx2.svg").getroot().itertext())
    for name in ("tg64", "pp512", "2 threads, memory", "2 threads, multipliers", "kimi-cpu f16", "a peer", "44.0"):
        assert name in text


def test_folder_without_results_is_one_sentence(tmp_path):
    done = plots("--results", tmp_path, "--out", tmp_path)
    assert done.returncode == 1
    assert "has no results-engine-*.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_picture_has_its_source_and_every_source_its_picture():
    shown = set(re.findall(r"\]\(performance/(engine-[\w-]+)\.svg\)", PERFORMANCE.read_text()))
    sources = {path.stem.removeprefix("results-") for path in BENCHMARKS.glob("results-engine-*.json")}
    assert shown == sources
    assert all((ROOT / "docs" / "performance" / f"{name}.svg").exists() for name in shown)


def test_share_and_ratios_are_of_the_same_rounds(sample, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import results

    (tg,), (pp,) = results.by_row(results.load(sample / "results-engine-avx2.json")).values()
    assert results.best_peer([tg]) == "a peer"
    assert results.ratios(tg, "kimi-cpu f16", "a peer") == [2.0, 1.1, 1.5]
    assert results.share([tg], "kimi-cpu f16") == (44.0, 0.88, "memory", 50e9)
    assert results.share([tg], "a peer").share == 0.64
    assert results.share([pp], "kimi-cpu f16") == (150.0, 0.75, "multipliers", 400e9)


def test_a_row_keeps_its_last_runs_of_one_commit(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import results

    path = tmp_path / "results-engine-avx2.json"
    facts = {
        "cpu": "A CPU",
        "cores": 2,
        "arch": "x86_64",
        "memory_gib": 8,
        "linux": "6",
        "versions": {},
        "date": "today",
    }
    for commit, rate in (("old", 1.0), ("new", 2.0), ("new", 3.0), ("new", 4.0), ("new", 5.0)):
        added = run("tg64", 1, {"kimi-cpu f16": [rate, rate]}) | {"machine": facts | {"commit": commit}}
        results.add(path, added)
    results.add(path, run("x4", 1, {"kimi-cpu f16": [9.0, 9.0]}) | {"machine": facts | {"commit": "old"}})
    kept = [(run["row"], run["pieces"]["kimi-cpu f16"]["rate"][0]) for run in results.load(path)]
    assert kept == [("tg64", 3.0), ("tg64", 4.0), ("tg64", 5.0), ("x4", 9.0)]
    assert "| 1 | tg64 | 4.0, 8% |" in path.with_suffix(".md").read_text()
