"""The same request gives the same bits: alone, batched, chunked, after a prefix hit, preempted, restarted.

On real kernels and weights; docs/determinism.md states the promise. Each way is taken with a prompt that is text and
with one that continues a session (an answer of this engine stands in it), and compared in ids and in logits.
"""

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.engine import Engine, Request, Sampling
from kimi_cpu.engine.block_pool import Tokens
from kimi_cpu.engine.session import Session, load, save
from kimi_cpu.kernels import runtime
from kimi_cpu.model import PAGE_TOKENS, Kimi, KVCache
from kimi_cpu.model.weights import bind
from kimi_cpu.modelfile import ModelFile

TEXT = np.random.default_rng(0).integers(3, 250, 150).tolist()
MORE = np.random.default_rng(9).integers(3, 250, 21).tolist()
OTHERS = [np.random.default_rng(n).integers(3, 250, 20 + 37 * n).tolist() for n in range(1, 5)]
WAYS = [("int8", "f16"), ("int8", "int8"), ("f32", "f32")]
COUNT = 40


class Ending:
    """Ends a step at its second layer."""

    def __init__(self, stop):
        self.stop = stop

    def __call__(self, done, total):
        return done == 1


class Watching:
    """A model that keeps the logits of one request, by position."""

    def __init__(self, model):
        self.model, self.max_tokens = model, model.max_tokens
        self.vocab_size, self.depth, self.pages = model.vocab_size, model.depth, model.pages
        self.watched, self.logits = None, {}
        self.interrupted = ()  # numbers of the steps that end at their second layer
        self.num_steps = 0

    def submit(self, batch, watch):
        self.num_steps += 1
        if self.num_steps in self.interrupted:
            watch = Ending(watch.stop)
        future = self.model.submit(batch, watch)
        logits = future.result()
        if logits is None:
            return future
        owners = np.searchsorted(batch.query_start_loc, batch.logits_indices, side="right") - 1
        for row, seq, out in zip(batch.logits_indices, owners, logits, strict=True):
            position = int(batch.positions[row])
            table, page = self.watched.block_table, position // PAGE_TOKENS
            if page < len(table) and table[page] == batch.block_tables[seq, page]:  # nobody else writes this page
                self.logits[position] = out.copy()
        return future


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def make(request, tiny_file):
    """A function that makes an engine: make(chunk, num_pages, max_running, speculation)."""
    compute, kv = request.param
    with ModelFile.open(tiny_file) as file:
        c = file.config
        weights = bind(file)

        def make(chunk=64, num_pages=64, max_running=8, speculation=None):
            cache = KVCache(kv, num_pages, c.num_hidden_layers, c.kv_lora_rank, c.qk_rope_head_dim)
            model = Watching(Kimi(c, weights, cache, chunk, int8=compute == "int8"))
            return Engine(model, max_running, speculation)

        yield make


def sampled(prompt=TEXT, max_tokens=COUNT, **options):
    how = {"temperature": 0.8, "seed": 7} | options.pop("how", {})
    return Request(list(prompt), Sampling(**how), max_tokens, **options)


def finish(engine, *requests):
    """Runs requests to their end; the first one's ids, and its logits by position."""
    engine.model.watched, engine.model.logits = requests[0], {}
    for request in requests:
        engine.add(request)
    while engine.has_work:
        engine.step()
    return requests[0].output_ids, engine.model.logits


def assert_same(found, expected):
    ids, logits = expected
    assert found[0] == ids
    for position, row in logits.items():
        np.testing.assert_array_equal(found[1][position], row)


@pytest.fixture(scope="module", params=["text", "session"])
def ask(request, make):
    """A function that makes the same request again and again; request.param says what its prompt is."""
    if request.param == "text":
        return sampled
    (answer, _) = finish(make(), sampled())
    prompt = [*TEXT, *answer, *MORE]
    forms = np.repeat([0, 1, 0], [len(TEXT) - 1, 1 + len(answer), len(MORE)])
    return lambda **options: sampled(prompt, forms=forms, tail=9, **options)


@pytest.fixture(scope="module")
def alone(make, ask):
    ids, logits = finish(make(), ask())
    assert len(logits) == COUNT
    return ids, logits


@pytest.mark.parametrize("chunk", [1, 7, 64, 512])
def test_chunks_change_nothing(make, ask, alone, chunk):
    assert_same(finish(make(chunk), ask()), alone)


@pytest.mark.parametrize("chunk", [16, 512])
def test_company_changes_nothing(make, ask, alone, chunk):
    assert_same(finish(make(chunk), ask(), *(sampled(p) for p in OTHERS)), alone)


@pytest.mark.parametrize("shared", [70, 128])
def test_prefix_hit_changes_nothing(make, ask, alone, shared):
    engine, request = make(), ask()
    finish(engine, sampled(TEXT[:shared], 5))
    assert_same(finish(engine, request), alone)
    assert request.num_cached >= 64


def test_the_same_again_changes_nothing(make, ask, alone):
    engine, request = make(), ask()
    finish(engine, ask())
    ids, logits = finish(engine, request)
    assert_same((ids, logits), alone)
    assert request.num_cached == request.num_prompt_tokens - 1


@pytest.mark.parametrize("found_again", [True, False])
def test_preemption_changes_nothing(make, ask, alone, found_again):
    engine, request = make(), ask()
    engine.model.watched = request
    engine.add(sampled(OTHERS[1], 60))
    engine.add(request)
    while len(request.output_ids) < 20:
        engine.step()
    engine.scheduler.preempt(request)
    if not found_again:  # its pages are taken by others meanwhile: prompt and answer are computed again
        pool = engine.cache.pool
        pool.release(pool.allocate(pool.num_free))
    while engine.has_work:
        engine.step()
    assert_same((request.output_ids, engine.model.logits), alone)


def test_steps_that_end_between_two_layers_change_nothing(make, ask, alone):
    engine = make()
    engine.model.interrupted = (1, 3, 4, 9, 30)
    assert_same(finish(engine, ask()), alone)
    assert engine.model.num_steps >= COUNT + len(engine.model.interrupted)


def test_restart_from_a_saved_session_changes_nothing(make, ask, alone, tmp_path):
    engine, request = make(), ask()
    finish(engine, ask())
    forms = request.tokens(0, request.num_prompt_tokens).forms
    save(Session(Tokens(np.asarray(request.prompt_ids, np.int32), forms)), engine.cache, tmp_path / "talk", "model")
    engine = make(chunk=16)
    load(engine.cache, tmp_path / "talk", "model")
    assert_same(finish(engine, request), alone)
    assert request.num_cached == request.num_prompt_tokens - 1


def test_number_of_threads_changes_nothing(make, ask, alone):
    try:
        for threads in (1, 2):
            runtime.configure(threads)
            assert_same(finish(make(), ask()), alone)
    finally:
        runtime.configure(None)


def test_samples_of_one_prompt_are_what_they_are_alone(make, ask, alone):
    first = ask()
    others = [ask(how={"seed": seed}, parent=first) for seed in (8, 9)]
    assert_same(finish(make(), first, *others), alone)
    assert others[1].output_ids == finish(make(), ask(how={"seed": 9}))[0]


class Told:
    """Drafts of the tokens that come, with a wrong one in some places."""

    def __init__(self, ids):
        self.ids = ids

    def propose(self, request, num_rows, limit):
        known = len(request.output_ids)
        draft = list(self.ids[known : known + min(limit, 8)])
        if known % 3 == 0 and draft:
            draft[min(known % 8, len(draft) - 1)] ^= 1
        return draft

    def observe(self, num_rows, seconds):
        pass


@pytest.mark.parametrize(
    "how", [{}, {"repeat_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.3, "logprobs": 2}]
)
def test_drafts_change_nothing(make, ask, how):
    expected = finish(make(), ask(how=how))
    engine, steps = make(speculation=Told(expected[0])), 0
    request = engine.model.watched = ask(how=how)
    engine.add(request)
    while engine.has_work:
        engine.step()
        steps += 1
    assert_same((request.output_ids, engine.model.logits), expected)
    assert steps < COUNT / 2


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
