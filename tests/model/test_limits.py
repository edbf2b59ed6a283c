"""Logits are finite at the limits that a configuration may reach: the bounds of its numbers are those of f32."""

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu import convert
from kimi_cpu.config.model_config import LIMITS, SCALING_LIMITS
from tests import tiny

NUMBERS = ("rms_norm_eps", "rope_theta", "routed_scaling_factor")
SMALL = {"num_hidden_layers": 2, "max_position_embeddings": 64}
IDS = [3, 141, 59, 26, 53, 58, 97, 93]


def changed(name: str, value: float) -> dict:
    return {name: value} if name in LIMITS else {"rope_scaling": tiny.YARN | {name: value}}


ENDS = [(name, value) for name in NUMBERS for value in LIMITS[name]]
ENDS += [(name, value) for name, limits in SCALING_LIMITS.items() for value in limits]


@pytest.mark.parametrize(("name", "value"), ENDS, ids=str)
def test_number_at_the_end_of_its_range_gives_finite_logits(tmp_path, name, value):
    convert(tiny.make(tmp_path / "in", **SMALL, **changed(name, value)), tmp_path / "out.gguf")
    for compute in ("int8", "f32"):
        with kimi_cpu.load(tmp_path / "out.gguf", threads=1, compute=compute) as llm:
            assert np.isfinite(llm.logits(IDS)).all()


@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
def test_all_numbers_at_their_ends_together_give_finite_logits(tmp_path, end):
    numbers = {name: LIMITS[name][end] for name in NUMBERS}
    scaling = tiny.YARN | {name: limits[end] for name, limits in SCALING_LIMITS.items()}
    convert(tiny.make(tmp_path / "in", **SMALL, **numbers, rope_scaling=scaling), tmp_path / "out.gguf")
    with kimi_cpu.load(tmp_path / "out.gguf", threads=1) as llm:
        assert np.isfinite(llm.logits(IDS)).all()


def test_longest_context_that_a_configuration_may_have_loads(tmp_path):
    """Its pages are many, and cost nothing until they are used."""
    most = LIMITS["max_position_embeddings"][1]
    convert(tiny.make(tmp_path / "in", **SMALL | {"max_position_embeddings": most}), tmp_path / "out.gguf")
    with kimi_cpu.load(tmp_path / "out.gguf", threads=1, parallel=1) as llm:
        assert llm.context == most
        assert len(llm.generate(IDS, max_tokens=2, temperature=0, ignore_eos=True).token_ids) == 2
