"""The same request gives the same bits: alone, batched, chunked, after a prefix hit, preempted, restored, threaded.

On real kernels and weights; docs/determinism.md states the promise.
"""

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.engine import Engine, Request, Sampling
from kimi_cpu.kernels import runtime
from kimi_cpu.model import Kimi, KVCache
from kimi_cpu.model.weights import bind
from kimi_cpu.modelfile import ModelFile

PROMPT = np.random.default_rng(0).integers(3, 250, 150).tolist()
OTHERS = [np.random.default_rng(n).integers(3, 250, 20 + 37 * n).tolist() for n in range(1, 5)]
WAYS = [("int8", "f16"), ("int8", "int8"), ("f32", "f32")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def make(request, tiny_file):
    """A function that makes an engine: make(chunk, num_pages, max_running)."""
    compute, kv = request.param
    with ModelFile.open(tiny_file) as file:
        c = file.config
        weights = bind(file, c)

        def make(chunk=64, num_pages=64, max_running=8):
            model = Kimi(c, weights, chunk, int8=compute == "int8")
            cache = KVCache(kv, num_pages, c.num_hidden_layers, c.kv_lora_rank, c.qk_rope_head_dim)
            return Engine(model, cache, c.vocab_size, max_running)

        yield make


def sampled(prompt=PROMPT, max_tokens=40, **options):
    return Request(list(prompt), Sampling(temperature=0.8, seed=7), max_tokens, **options)


def finish(engine, *requests):
    for request in requests:
        engine.add(request)
    while engine.has_work:
        engine.step()
    return requests[0].output_ids


def last_logits(engine, prompt, beside=()):
    """Logits of a prompt's last position, computed beside other requests."""
    request = Request(list(prompt), Sampling(), 0, logits=True)
    rows = []
    for other in beside:
        engine.add(other)
    engine.add(request)
    while request.finish_reason is None:
        rows += [o.logits for o in engine.step() if o.request is request]
    return np.concatenate(rows)[-1]


@pytest.fixture(scope="module")
def alone(make):
    return finish(make(), sampled())


@pytest.mark.parametrize("chunk", [1, 7, 64, 512])
def test_chunks_do_not_change_a_token(make, alone, chunk):
    assert finish(make(chunk), sampled()) == alone


def test_company_does_not_change_a_token(make, alone):
    assert finish(make(), sampled(), *(sampled(p) for p in OTHERS)) == alone


def test_prefix_hit_does_not_change_a_token(make, alone):
    engine = make()
    finish(engine, sampled(PROMPT[:100], 5))
    request = sampled()
    assert finish(engine, request) == alone
    assert request.num_cached >= 64


@pytest.mark.parametrize("found_again", [True, False])
def test_preemption_does_not_change_a_token(make, alone, found_again):
    engine, request = make(), sampled()
    engine.add(sampled(OTHERS[1], 60))
    engine.add(request)
    while len(request.output_ids) < 20:
        engine.step()
    engine.scheduler._preempt(request)
    if not found_again:  # its pages are taken by others meanwhile: prompt and answer are computed again
        pool = engine.scheduler.pool
        pool.release(pool.allocate(pool.num_free))
    while engine.has_work:
        engine.step()
    assert request.output_ids == alone


def test_number_of_threads_does_not_change_a_token(make, alone):
    try:
        for threads in (1, 2):
            runtime.configure(threads)
            assert finish(make(), sampled()) == alone
    finally:
        runtime.configure(None)


def test_logits_are_equal_bit_for_bit_alone_and_in_company(make):
    expected = last_logits(make(), PROMPT)
    for chunk in (7, 512):
        found = last_logits(make(chunk), PROMPT, [sampled(p) for p in OTHERS])
        np.testing.assert_array_equal(found, expected)


def test_restored_conversation_goes_on_with_the_same_tokens(tiny_file, tmp_path):
    messages = [{"role": "user", "content": "Tell me."}]
    options = {"max_tokens": 30, "seed": 5}
    with kimi_cpu.load(tiny_file, context=1024) as llm:
        session = llm.session()
        turn = llm.chat(messages, session=session, **options)
        session.save(tmp_path / "talk")
        messages += [turn.message(), {"role": "user", "content": "More."}]
        expected = llm.chat(messages, session=session, **options)
    with kimi_cpu.load(tiny_file, context=1024, chunk=16) as llm:
        restored = llm.chat(messages, session=llm.load_session(tmp_path / "talk"), **options)
        assert restored.token_ids == expected.token_ids
        assert restored.usage.cached_tokens == expected.usage.cached_tokens
