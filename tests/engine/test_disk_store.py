"""Pages on disk: found after a restart, never wrong, never more than allowed."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from kimi_cpu.engine import DiskStore, Engine
from kimi_cpu.engine.block_pool import ROOT, Tokens, chain_key
from kimi_cpu.model import PAGE_TOKENS

from .fake import FakeModel, expected, finish, greedy

PROMPT = [(5 * i) % 90 + 2 for i in range(4 * PAGE_TOKENS + 10)]
PLENTY = 1 << 20
FILE_BYTES = 12 + 5 * PAGE_TOKENS + 8 * PAGE_TOKENS  # of FakePages


def make(directory, limit=PLENTY, namespace="model", num_pages=12):
    store = DiskStore(directory, limit, namespace)
    return Engine(FakeModel(32, num_pages), 4, store=store)


def ask(engine, prompt=PROMPT, count=5):
    request = greedy(prompt, count)
    assert finish(engine, [request]) == [expected(prompt, count)]
    engine.cache.pool.check([])  # nobody holds a page
    return request


def pages(directory):
    return sorted(directory.glob("*/*.page"))


def test_restarted_engine_computes_only_what_no_full_page_holds(tmp_path):
    ask(make(tmp_path))
    assert ask(make(tmp_path)).num_cached == 4 * PAGE_TOKENS
    assert len(pages(tmp_path)) == 4


def test_pages_of_a_generated_answer_are_found_by_the_session_and_not_as_a_prompt(tmp_path):
    (answer,) = finish(make(tmp_path), [greedy(PROMPT, 2 * PAGE_TOKENS)])
    text = [*PROMPT, *answer]
    assert ask(make(tmp_path), text).num_cached == 4 * PAGE_TOKENS
    forms = np.repeat([0, 1], [len(PROMPT) - 1, 1 + len(answer)])
    session = greedy(text, 3, forms=forms)
    finish(make(tmp_path), [session])
    assert session.num_cached == 6 * PAGE_TOKENS


def test_page_that_was_evicted_from_memory_comes_back_from_disk(tmp_path):
    engine = make(tmp_path, num_pages=7)
    ask(engine)
    ask(engine, [7] * (6 * PAGE_TOKENS))
    assert ask(engine).num_cached == 4 * PAGE_TOKENS


@pytest.mark.parametrize("what", ["flip", "cut", "empty", "gone", "other"])
def test_damaged_page_is_computed_again(tmp_path, what):
    ask(make(tmp_path))
    engine, rng = make(tmp_path), np.random.default_rng(0)
    for number, path in enumerate(pages(tmp_path)):
        data = bytearray(path.read_bytes())
        if what == "flip":
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        elif what == "other":  # another page's content under this name
            data = pages(tmp_path)[number - 1].read_bytes()
        path.write_bytes({"cut": data[:-1], "empty": b""}.get(what, data))
        if what == "gone":
            path.unlink()
    assert ask(engine).num_cached == 0
    found = [ask(make(tmp_path)).num_cached for _ in range(4)]
    assert found[-1] == 4 * PAGE_TOKENS  # one after the other, they were noticed and written anew


def test_every_flipped_bit_is_noticed(tmp_path):
    store, page = DiskStore(tmp_path, PLENTY, "model"), np.arange(256, dtype=np.uint8)
    tokens = Tokens(np.arange(PAGE_TOKENS, dtype=np.int32), np.zeros(PAGE_TOKENS, np.uint8))
    key = chain_key(ROOT, tokens)
    store.write(key, ROOT, tokens, page)
    (path,) = pages(tmp_path)
    good = path.read_bytes()
    assert (store.read(key, tokens, len(page)) == page).all()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        assert DiskStore(tmp_path, PLENTY, "model").read(key, tokens, len(page)) is None


def test_other_namespace_finds_nothing_but_counts(tmp_path):
    ask(make(tmp_path))
    assert ask(make(tmp_path, namespace="another")).num_cached == 0
    assert DiskStore(tmp_path, PLENTY, "third").num_bytes == 8 * FILE_BYTES


def test_limit_holds_and_heads_outlive_tails(tmp_path):
    engine = make(tmp_path, limit=6 * FILE_BYTES, num_pages=30)
    ask(engine)
    ask(engine, [7] * (3 * PAGE_TOKENS))
    assert sum(p.stat().st_size for p in pages(tmp_path)) == engine.cache.store.num_bytes == 6 * FILE_BYTES
    assert ask(make(tmp_path)).num_cached == 3 * PAGE_TOKENS  # the tail made room


def test_page_used_in_memory_outlives_an_older_one(tmp_path):
    engine = make(tmp_path, limit=6 * FILE_BYTES, num_pages=30)
    used, unused = [7] * (3 * PAGE_TOKENS + 1), [8] * (3 * PAGE_TOKENS + 1)
    for prompt in (used, unused, used, [9] * (2 * PAGE_TOKENS)):
        ask(engine, prompt)
    assert ask(make(tmp_path, limit=6 * FILE_BYTES), used).num_cached == 3 * PAGE_TOKENS
    assert ask(make(tmp_path), unused).num_cached < 2 * PAGE_TOKENS


def test_smaller_limit_removes_what_is_too_much(tmp_path):
    ask(make(tmp_path))
    store = DiskStore(tmp_path, 2 * FILE_BYTES, "model")
    assert len(pages(tmp_path)) == 2 and store.num_bytes == 2 * FILE_BYTES
    assert ask(make(tmp_path)).num_cached == 2 * PAGE_TOKENS


def test_disk_that_takes_nothing_more_costs_the_store_and_nothing_else(tmp_path, caplog):
    engine = make(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    ask(engine)
    ask(engine, PROMPT[:100])
    assert len(caplog.records) == 1 and "cannot be written" in caplog.text


def test_killing_the_writer_leaves_no_page_that_cannot_be_read(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.engine.test_disk_store import ask, make
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            ask(make(Path(sys.argv[1])), [number % 90 + 2] * 400, 1)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    while not pages(tmp_path):
        assert process.poll() is None
    process.kill()
    process.wait()
    num_pages = len(pages(tmp_path))
    for number in range(1, 95):
        ask(make(tmp_path), [number % 90 + 2] * 400, 1)
    assert len(pages(tmp_path)) >= num_pages  # none was found damaged and removed
