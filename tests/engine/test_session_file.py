"""Saving a session again and again: only what is new is written, and whatever ends a save, the old or the new stays."""

import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kimi_cpu.engine import session_file
from kimi_cpu.engine.block_pool import Tokens
from kimi_cpu.engine.prefix_cache import PrefixCache
from kimi_cpu.engine.session import Session, load, save
from kimi_cpu.engine.session_file import BLOCK, DATA_AT, INDEX, SLOT, Label, contents, read
from kimi_cpu.errors import ConfigError, SessionError

from .fake import FakePages
from .test_session import read_header, write_header

index = session_file._index
LABEL = Label("model", "fake", FakePages(1).page_bytes)


def tokens(n, seed=0, after=None):
    """n tokens, which begin with those of `after`."""
    rng, there = np.random.default_rng(seed), 0 if after is None else len(after.ids)
    new = Tokens(rng.integers(2, 97, n - there).astype(np.int32), rng.integers(0, 2, n - there).astype(np.uint8))
    return new if after is None else Tokens(*map(np.concatenate, zip(after, new, strict=True)))


def pages_of(found):
    """The content of the pages of tokens, as FakeModel writes it."""
    content = 2 * found.ids.astype(np.int64) + found.forms
    return np.pad(content, (0, -len(content) % 64), constant_values=-1).view(np.uint8).reshape(-1, LABEL.page_bytes)


def cache_of(found, num_pages=16):
    """A cache in which all tokens but the last were computed."""
    cache = PrefixCache(FakePages(num_pages))
    cache.restore(found.part(0, len(found.ids) - 1), pages_of(found))
    return cache


def keep(path, found, num_pages=16):
    return save(Session(found), cache_of(found, num_pages), path, "model")


def held(path):
    """(ids, forms, latents) of what a file holds."""
    with open(path, "rb") as file:
        saved = read(path, file, LABEL)
        pages = [page.copy() for page in contents(path, file, saved, LABEL, len(saved.page_at))]
    latents = np.concatenate([np.zeros(0, np.uint8), *pages]).view(np.int64)[: saved.num_cached]
    return saved.tokens.ids.tolist(), saved.tokens.forms.tolist(), latents.tolist()


def whole(found):
    """A session as `held` has it, with the latents of all tokens."""
    latents = 2 * found.ids.astype(np.int64) + found.forms
    return found.ids.tolist(), found.forms.tolist(), latents.tolist()


def kept(found):
    """What a file is to hold after `keep`: what the cache has."""
    ids, forms, latents = whole(found)
    return ids, forms, latents[:-1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "talk"


def test_a_step_of_50_tokens_after_100000_writes_its_own_pages_and_nothing_else(path):
    first = tokens(100_000)
    second = tokens(100_050, after=first)
    keep(path, first, 1600)
    cache, before, inode = cache_of(second, 1600), path.read_bytes(), path.stat().st_ino
    written = written_bytes()
    save(Session(second), cache, path, "model")
    written = written_bytes() - written
    assert written < 2 * LABEL.page_bytes + 5 * 50 + 200
    assert path.stat().st_ino == inode and path.stat().st_size < len(before) + written
    assert path.read_bytes()[DATA_AT : len(before)] == before[DATA_AT:]
    assert held(path) == kept(second)


def written_bytes():
    """Bytes that this process has handed to the system in calls that write, as Linux counts them."""
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


def test_last_page_that_fills_is_written_again_and_the_newest_copy_counts(path):
    found = tokens(70)
    keep(path, found)
    for n in (71, 100, 128, 129, 130):
        found = tokens(n, n, after=found)
        keep(path, found)
        assert held(path) == kept(found)
    assert load(cache := PrefixCache(FakePages(16)), path, "model").tokens.ids.tolist() == found.ids.tolist()
    assert cache.export(found)[0] == 129


def test_what_is_taken_back_and_said_otherwise_is_what_is_held(path):
    beginning = tokens(150)
    one, other = tokens(400, 1, after=beginning), tokens(333, 2, after=beginning)
    for found in (one, other, beginning, one, other):
        num_cached = keep(path, found)  # of the last token too, if more was saved before
        ids, forms, latents = whole(found)
        assert held(path) == (ids, forms, latents[:num_cached]) and num_cached >= len(ids) - 1


def test_next_save_of_a_session_reads_only_what_was_added(path, monkeypatch):
    """Also when it was taken back, and when another one was saved in between."""
    num_read = []
    monkeypatch.setattr(session_file, "_index", lambda *args: num_read.append(args) or index(*args))
    found = [tokens(200)]
    for n in range(210, 400, 10):
        found.append(tokens(n, n, after=found[-1]))
    session = Session()
    for n, part in enumerate([*found, found[9], found[12]]):
        session = session.followed_by(part)
        num_read.clear()
        save(session, cache_of(part), path, "model")
        assert len(num_read) <= (2 if n == 6 else 1)
        assert held(path)[0] == part.ids.tolist()
        if n == 5:
            keep(path, found[3])


def test_file_that_was_cut_short_between_two_saves_is_written_anew(path):
    first = tokens(300)
    session = Session(first)
    for _ in range(2):
        save(session, cache_of(first), path, "model")
    os.truncate(path, DATA_AT + 10)
    save(session.followed_by(tokens(400, after=first)), cache_of(tokens(400, after=first)), path, "model")
    assert held(path) == kept(tokens(400, after=first))


def test_pages_that_the_cache_has_lost_stay_in_the_file(path):
    first = tokens(300)
    second = tokens(500, after=first)
    keep(path, first)
    cache = cache_of(second)
    blocks = cache.pool.match(second).block_ids
    cache.pool.forget(blocks[:2], [])
    assert save(Session(second), cache, path, "model") == 499  # the file has the beginning, the cache the rest
    assert held(path) == kept(second)
    cache.pool.forget(blocks, [])
    longer = tokens(600, after=second)
    assert save(Session(longer), cache, path, "model") == 499
    assert held(path) == (longer.ids.tolist(), longer.forms.tolist(), kept(second)[2])


def test_file_is_written_anew_when_a_third_of_it_is_dead(path):
    beginning = tokens(640)
    keep(path, beginning)
    sizes, inodes = [path.stat().st_size], {path.stat().st_ino}
    for seed in range(40):
        keep(path, tokens(1000, seed, after=beginning), 32)
        sizes.append(path.stat().st_size)
        inodes.add(path.stat().st_ino)
    live = DATA_AT + INDEX.size + 5 * 1000 + 16 * (LABEL.page_bytes + 4)
    assert max(sizes) <= 1.5 * live and min(sizes[1:]) == live
    assert len(inodes) > 1
    assert held(path) == kept(tokens(1000, 39, after=beginning))
    assert [p.name for p in path.parent.iterdir()] == ["talk"]


def test_damaged_page_is_not_copied_when_the_file_is_written_anew(path):
    beginning = tokens(128)
    keep(path, beginning)
    data = bytearray(path.read_bytes())
    data[DATA_AT + 5] ^= 1
    path.write_bytes(data)
    for seed in range(8):
        found = tokens(700, seed, after=beginning)
        keep(path, found)
    assert held(path) == kept(found)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_saved_after_whatever_the_file_holds_it(path, seed):
    rng, found = random.Random(seed), tokens(1)
    for step in range(15):
        stay = rng.choice([len(found.ids), rng.randint(1, len(found.ids))])
        found = tokens(stay + rng.choice([0, 1, 20, 64, 200]), step, after=found.part(0, stay))
        cache = cache_of(found, 60)
        blocks = cache.pool.match(found).block_ids
        cache.pool.forget([block for block in blocks if rng.random() < 0.2], [])
        num_cached = save(Session(found), cache, path, "model")
        ids, forms, latents = whole(found)
        assert num_cached >= cache.export(found)[0]
        assert held(path) == (ids, forms, latents[:num_cached])


@pytest.fixture
def twice(path):
    """A session that was saved, and then saved with more: the file before, the file after."""
    first = tokens(150)
    keep(path, first)
    before = path.read_bytes()
    second = tokens(300, after=first)
    keep(path, second)
    return SimpleNamespace(before=before, after=path.read_bytes(), first=kept(first), second=kept(second))


def test_save_that_ends_anywhere_leaves_the_old_session_or_the_new_one(path, twice):
    before, after, end = twice.before, twice.after, len(twice.before)
    assert after[:BLOCK] == before[:BLOCK] and after[2 * BLOCK : end] == before[2 * BLOCK :]
    for cut in [*range(end, len(after), 61), len(after)]:  # within pages and index
        path.write_bytes(before + after[end:cut])
        assert held(path) == twice.first
    for cut in range(SLOT.size + 1):  # within the slot
        path.write_bytes(before[:BLOCK] + after[BLOCK : BLOCK + cut] + before[BLOCK + cut :] + after[end:])
        assert held(path) == (twice.second if cut == SLOT.size else twice.first)


def test_save_after_one_that_was_not_finished_cuts_its_rest_off(path, twice):
    path.write_bytes(twice.before + twice.after[len(twice.before) :][:900] + os.urandom(90_000))
    found = tokens(200, 5, after=tokens(150))
    keep(path, found)
    assert held(path) == kept(found)
    assert path.stat().st_size < len(twice.before) + 2000


def test_slot_whose_index_the_disk_has_lost_gives_way_to_the_one_before(path, twice):
    end = len(twice.before)
    path.write_bytes(twice.after[:end] + bytes(len(twice.after) - end))
    assert held(path) == twice.first
    path.write_bytes(twice.after[:end])
    assert held(path) == twice.first
    found = tokens(180, 7, after=tokens(150))
    keep(path, found)
    assert held(path) == kept(found)


def test_pages_and_index_reach_the_disk_before_the_slot_that_names_them(path, monkeypatch):
    first = tokens(150)
    keep(path, first)
    second, synced, sync = tokens(300, after=first), [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(path.read_bytes()), sync(descriptor)))
    keep(path, second)
    monkeypatch.undo()
    data, slot = synced
    assert data[BLOCK:DATA_AT] != slot[BLOCK:DATA_AT] and slot == path.read_bytes()
    assert (data[:BLOCK], data[DATA_AT:]) == (slot[:BLOCK], slot[DATA_AT:])
    path.write_bytes(data)
    assert held(path) == kept(first)


def test_save_that_fails_leaves_the_old_session_and_nothing_else(path):
    first = tokens(150)
    keep(path, first)
    before, second = path.read_bytes(), tokens(300, after=first)

    class Broken(FakePages):
        def read(self, page):
            raise OSError("no such luck")

    cache = cache_of(second)
    cache.pages = Broken(16)
    with pytest.raises(OSError, match="no such luck"):
        save(Session(second), cache, path, "model")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_disk_that_takes_no_more_leaves_the_old_session_and_is_named_with_the_file(path):
    first = tokens(150)
    keep(path, first)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 700, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            keep(path, tokens(300, after=first))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == before


def test_file_that_another_process_writes_is_refused(path):
    found = tokens(100)
    keep(path, found)
    script = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    try:
        with pytest.raises(ConfigError, match="talk is being written by another process; wait for its end"):
            keep(path, found)
        assert held(path) == kept(found)
    finally:
        process.communicate("\n")


def test_file_of_another_model_or_format_is_replaced(path):
    found = tokens(100)
    save(Session(found), cache_of(found), path, "another model")
    keep(path, found)
    assert held(path) == kept(found)
    path.write_bytes(b'{"magic": "kimi-cpu session", "version": 2}'.ljust(9000))
    with pytest.raises(SessionError):
        held(path)
    keep(path, found)
    assert held(path) == kept(found)


def test_file_becomes_its_owners_alone(path):
    found = tokens(100)
    keep(path, found)
    path.chmod(0o644)
    keep(path, tokens(120, after=found))
    assert path.stat().st_mode & 0o777 == 0o600


def test_killing_saves_leaves_one_of_the_sessions(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.engine.test_session_file import keep, tokens
        path, seed = Path(sys.argv[1]), 0
        keep(path, tokens(300))
        print("saved", flush=True)
        while True:
            seed += 1
            keep(path, tokens(300 + seed, seed, after=tokens(300)))
        """
    )
    for delay in (0.0, 0.003, 0.007):
        path = tmp_path / f"talk {delay}"
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"saved\n"
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        n = len(held(path)[0])
        assert held(path) == kept(tokens(n, n - 300, after=tokens(300)))


def test_heat_is_that_of_the_newest_save(tmp_path):
    path, first = tmp_path / "talk", tokens(100)
    found = tokens(150, 1, first)
    for what, heat in ((first, b"warm"), (found, b"warmer"), (found, b"")):
        save(Session(what), cache_of(what), path, "model", heat)
        loaded = load(PrefixCache(FakePages(16)), path, "model")
        assert loaded.saved.heat == heat and held(path)[0] == what.ids.tolist()


def test_a_file_of_the_format_before_is_read_and_written_anew_when_there_is_heat(tmp_path):
    path, first = tmp_path / "talk", tokens(100)
    keep(path, first)
    write_header(path, read_header(path) | {"version": 3})
    assert held(path)[0] == first.ids.tolist()
    longer = tokens(150, 1, first)
    keep(path, longer)
    assert read_header(path)["version"] == 3 and held(path)[0] == longer.ids.tolist()
    save(Session(longer), cache_of(longer), path, "model", b"warm")
    assert read_header(path)["version"] == 4 and held(path)[0] == longer.ids.tolist()
    with path.open("rb") as file:
        assert read(path, file, LABEL).heat == b"warm"
