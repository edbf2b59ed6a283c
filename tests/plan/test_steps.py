"""A step's predicted time beside what was measured, and where the parts of it go."""

import json
from pathlib import Path
from statistics import median

import pytest

from kimi_cpu.conversion.inspect import preview
from kimi_cpu.plan.steps import Host, Model, Stage, Work
from tests import tiny
from tools import make_slice

RESULTS = Path(__file__).parents[2] / "benchmarks"
MATRICES = 0.8  # of the multiply-adds in registers: what the matrices of a prompt reach, as the tuner sees it
ROOM = 10**13


@pytest.fixture(scope="module")
def slice_config(tmp_path_factory):
    """config.json of the four layers that results-engine-*.json were measured with."""
    path = tmp_path_factory.mktemp("slice") / "config.json"
    changed = {"num_hidden_layers": 4, "n_routed_experts": 48, "vocab_size": 8192}
    changed["quantization_config"] = tiny.QUANTIZATION
    path.write_text(json.dumps(tiny.BASE | make_slice.CONFIG | changed))
    return path


def work_of(row: str) -> tuple[Work, int]:
    """(a step of a row, the tokens that it is counted with)"""
    kind, _, depth = row.partition("@d")
    before = int(depth or 0)
    if kind.startswith("x"):
        count = int(kind[1:])
        return Work(count, 0, count, decoding_pairs=64 * count), count
    if kind.startswith("tg"):
        return Work(1, 0, 1, decoding_pairs=before + 32), 1
    count = int(kind[2:])  # prompts of 512 tokens a step: the mean of their steps
    steps = count // 512
    pairs, rebuilt = count * count // 2 // steps, 512 * (steps - 1) // 2
    return Work(0, 512, 1, prompt_pairs=pairs, rebuilt=rebuilt), 512


@pytest.mark.parametrize("tier", ["avx512-vnni", "avx2"])
def test_predicted_rates_are_those_that_were_measured(slice_config, tier):
    found = preview(slice_config)
    for run in json.loads((RESULTS / f"results-engine-{tier}.json").read_text())["runs"]:
        for kv in ("f16", "int8"):
            piece = run["pieces"].get(f"kimi-cpu {kv}")
            if piece is None or run["row"].endswith("+busy"):
                continue
            model = Model.of(found.config, found.tensors, kv)
            work, tokens = work_of(run["row"])
            ratios = []
            for rate, reader, macs in zip(piece["rate"], piece["reader"], piece["macs"], strict=True):
                host = Host(ROOM, reader / 1e9, MATRICES * macs / 1e9, 1.0)
                ratios.append(tokens / Stage(model, range(4), host, 0)(work) / rate)
            assert 0.75 < median(ratios) < 1.25, (run["threads"], run["row"], kv, ratios)
