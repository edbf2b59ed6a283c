"""A budget of memory: a file that fits is mapped, of a larger one stays what there is room for."""

import json
import re

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import kimi_cpu
from kimi_cpu.cli import cli
from kimi_cpu.errors import ModelFileError, OutOfMemory
from tests import tiny

PROMPTS = [[(n * i) % 90 + 3 for i in range(length)] for n, length in ((1, 90), (3, 150), (2, 1), (5, 40))]
OPTIONS = {"context": 512, "cache_memory": "256K", "parallel": 3, "chunk": 64}


@pytest.fixture(scope="module")
def path(tmp_path_factory, kernels_ready):
    """64 experts of 221 KB in two layers."""
    folder = tmp_path_factory.mktemp("memory")
    wide = {"hidden_size": 512, "moe_intermediate_size": 256, "n_routed_experts": 32, "num_experts_per_tok": 3}
    kimi_cpu.convert(tiny.make(folder / "checkpoint", **wide), folder / "model.gguf")
    return folder / "model.gguf"


def least(path, **options):
    """Bytes without which the model is refused."""
    with pytest.raises(OutOfMemory) as refused:
        kimi_cpu.load(path, memory=1000, **options)
    assert refused.value.exit_code == 4
    return int(re.search(r"at least ([\d,]+) bytes", str(refused.value))[1].replace(",", ""))


def answers(llm):
    """Ids of prompts that run together; the last ones wait, and pages are short."""
    running = [llm.submit(prompt, max_tokens=30, ignore_eos=True, temperature=1.0, seed=7) for prompt in PROMPTS]
    return [handle.result().token_ids for handle in running]


@pytest.fixture(scope="module")
def expected(path):
    with kimi_cpu.load(path, **OPTIONS) as llm:
        assert llm.notices == ()
        return answers(llm)


def test_tokens_are_the_same_from_the_smallest_budget_to_all_of_it(path, expected):
    smallest = least(path, **OPTIONS)
    with kimi_cpu.load(path, **OPTIONS) as llm:
        expert = llm.needs.expert
        assert llm.experts_state() is None
    shares = []
    for budget in (smallest, smallest + 5 * expert, smallest + 30 * expert, smallest + 200 * expert):
        with kimi_cpu.load(path, memory=budget, **OPTIONS) as llm:
            assert answers(llm) == expected
            state = llm.experts_state()
            assert state is None or state.num_uses - state.num_hits == state.bytes_read / expert > 0
            shares.append(" ".join(llm.notices))
    assert shares[-1] == "" and all("experts that are not there are read" in told.lower() for told in shares[:-1])
    assert "hold 3 of 64 experts" in shares[0] and "hold 8 of 64" in shares[1] and "hold 33 of 64" in shares[2]


def test_a_byte_less_than_the_least_is_refused(path):
    smallest = least(path, **OPTIONS)
    with pytest.raises(OutOfMemory, match=f"memory is {smallest - 1:,}"):
        kimi_cpu.load(path, memory=smallest - 1, **OPTIONS)


@pytest.mark.parametrize("options", [{}, {"context": 512}, {"kv": "int8"}])
def test_a_plan_says_what_is_needed_at_least(path, options):
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    done = CliRunner().invoke(cli, ["plan", str(path), "--json", *flags])
    assert json.loads(done.stdout)["least_memory"] == least(path, **options)


def test_the_context_gives_way_to_a_small_budget_unless_it_is_named(path):
    with kimi_cpu.load(path, memory=least(path)) as llm:
        assert llm.context == 2048 and len(llm.generate([3, 4], max_tokens=2).token_ids) <= 2
    assert least(path, context=4096) > least(path)


def test_more_memory_than_there_is_is_said(path):
    with kimi_cpu.load(path, memory="4000TiB", context=512) as llm:
        (notice,) = llm.notices
        assert notice.startswith("memory is 4000TiB, and ")


def test_a_file_that_is_cut_short_fails_its_request_and_the_engine_lives(path, tmp_path):
    copy, whole = tmp_path / "cut.gguf", path.read_bytes()
    copy.write_bytes(whole)
    with kimi_cpu.load(copy, memory=least(path, **OPTIONS), **OPTIONS) as llm:
        expected = llm.generate(PROMPTS[0], max_tokens=5, ignore_eos=True, temperature=0).token_ids
        with copy.open("r+b") as file:
            file.truncate(len(whole) // 4)
        with pytest.raises(ModelFileError, match=r"cut\.gguf ends at byte"):
            llm.generate(PROMPTS[1], max_tokens=5)
        with copy.open("r+b") as file:
            file.write(whole)
        assert llm.generate(PROMPTS[0], max_tokens=5, ignore_eos=True, temperature=0).token_ids == expected
        assert np.isfinite(llm.logits(PROMPTS[3])).all()


def test_memory_that_is_taken_is_that_of_the_experts_that_stay(path):
    process = psutil.Process()
    with kimi_cpu.load(path, memory=least(path, **OPTIONS) + (2 << 20), **OPTIONS) as llm:
        before = process.memory_info().rss
        answers(llm)
        assert process.memory_info().rss - before < llm.needs.experts // 2
