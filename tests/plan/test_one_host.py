"""What is predicted of a model on a machine, from a few sizes."""

import pytest

from kimi_cpu.config import config_from_hf
from kimi_cpu.plan import Machine, needs, predict
from tests import tiny

CONFIG = config_from_hf(tiny.BASE)[0]
SIZES = {
    "tokenizer.model": 1 << 20,
    "token_embd.weight": 1000,
    "blk.0.attn_output.weight": 300,
    "blk.1.ffn_exps.weight": 64 * CONFIG.n_routed_experts,
    "output.weight": 500,
    "kimi-cpu.sha256": 32,
}
EXPERTS = SIZES["blk.1.ffn_exps.weight"]


def test_weights_are_all_tensors_but_tokenizer_and_hashes():
    need = needs(CONFIG, SIZES)
    assert (need.weights, need.experts, need.dense) == (1800 + EXPERTS, EXPERTS, 1800)


def test_a_token_reads_its_experts_and_no_table_but_one_that_is_also_the_head():
    chosen = EXPERTS * CONFIG.num_experts_per_tok // CONFIG.n_routed_experts
    tied = {name: size for name, size in SIZES.items() if name != "output.weight"}
    assert needs(CONFIG, SIZES).token == 800 + chosen
    assert needs(CONFIG, tied).token == 1300 + chosen


def test_cache_is_taken_in_whole_pages():
    one, page = needs(CONFIG, SIZES, context=1), needs(CONFIG, SIZES, context=64)
    assert one.cache == page.cache == 64 * page.cache_token
    assert needs(CONFIG, SIZES, context=65).cache == 2 * page.cache


def test_what_fits_reads_nothing_from_disk():
    need = needs(CONFIG, SIZES, context=64)
    fits, lacks = (predict(need, Machine(need.memory - less, 100.0)) for less in (0, 1))
    assert (fits.missing, fits.from_disk) == (0, 0)
    assert lacks.missing == 1 and lacks.from_disk < need.token_experts


def test_speed_is_bound_by_the_bandwidth():
    need = needs(CONFIG, SIZES)
    assert predict(need, Machine(0, 100.0)).tokens_per_s == pytest.approx(100e9 / need.token)
