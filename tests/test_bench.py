"""kimi-cpu bench: which rows are measured, and what a measurement counts."""

import json
import subprocess
import sys

import pytest

import kimi_cpu
from kimi_cpu.bench import Row, measure, rows
from kimi_cpu.errors import ContextOverflow


def test_rows_are_all_combinations_under_llama_benchs_names():
    names = [row.name for row in rows([512, 0], [64], [0, 4096])]
    assert names == ["pp512", "tg64", "pp512@d4096", "tg64@d4096"]


def test_measurement_has_a_rate_for_every_repetition(tiny_file):
    with kimi_cpu.load(tiny_file, context=256) as llm:
        for row in (Row("pp", 40), Row("tg", 5), Row("pp", 40, depth=70), Row("tg", 5, depth=70)):
            rates = measure(llm, row, 2).rates
            assert len(rates) == 2
            assert min(rates) > 0


def test_row_that_does_not_fit_is_refused_by_name(tiny_file):
    with kimi_cpu.load(tiny_file, context=64) as llm, pytest.raises(ContextOverflow, match="tg64@d10 needs 75 tokens"):
        measure(llm, Row("tg", 64, 10), 1)


def test_command_prints_json_with_llama_benchs_fields(tiny_file):
    command = [
        sys.executable,
        "-m",
        "kimi_cpu",
        "bench",
        "-m",
        tiny_file,
        "-p",
        "16",
        "-n",
        "4",
        "-d",
        "0,8",
        "-r",
        "2",
    ]
    done = subprocess.run([*map(str, command), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [r["test"] for r in results] == ["pp16", "tg4", "pp16@d8", "tg4@d8"]
    assert [(r["n_prompt"], r["n_gen"], r["n_depth"]) for r in results] == [
        (16, 0, 0),
        (0, 4, 0),
        (16, 0, 8),
        (0, 4, 8),
    ]
    assert all(len(r["samples_ts"]) == 2 and r["median_ts"] > 0 for r in results)


def test_command_refuses_what_is_not_a_count(tiny_file):
    command = [sys.executable, "-m", "kimi_cpu", "bench", "-m", str(tiny_file), "-p", "many"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "not a list of numbers" in done.stderr
