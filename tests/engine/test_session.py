"""Sessions on disk: what was computed comes back, and a bad file is told from a good one."""

import json
import os
from zlib import crc32

import numpy as np
import pytest

from kimi_cpu.engine import Engine
from kimi_cpu.engine.block_pool import Tokens
from kimi_cpu.engine.session import Session, load, save
from kimi_cpu.engine.session_file import BLOCK, DATA_AT, INDEX, SLOT
from kimi_cpu.errors import SessionError

from .fake import FakeModel, finish, greedy

PROMPT = [(5 * i) % 90 + 2 for i in range(150)]


def make():
    return Engine(FakeModel(32, 12))


def conversation(engine):
    """A session after one answer, and the request that made it."""
    request = greedy(PROMPT, 30)
    finish(engine, [request])
    return Session(request.tokens(0, request.num_tokens))


@pytest.fixture
def saved(tmp_path):
    engine = make()
    session = conversation(engine)
    path = tmp_path / "talk.session"
    assert save(session, engine.cache, path, "model") == len(session.tokens.ids) - 1
    return path, session


def test_restored_session_goes_on_with_the_same_tokens_and_computes_nothing_again(saved):
    path, session = saved
    engine = make()
    again = load(engine.cache, path, "model")
    prompt = [*again.tokens.ids.tolist(), 7, 8, 9]
    request = greedy(prompt, 20, forms=again.forms(prompt))
    straight = greedy(prompt, 20, forms=session.forms(prompt))
    assert finish(engine, [request]) == finish(make(), [straight])
    assert request.num_cached == len(session.tokens.ids) - 1


def test_forms_follow_the_session_only_as_far_as_the_prompt_does():
    session = Session(Tokens(np.array([3, 4, 5, 6]), np.array([0, 0, 1, 1])))
    assert session.forms([3, 4, 5, 9, 6]).tolist() == [0, 0, 1, 0, 0]


def test_any_flipped_bit_in_tokens_or_pages_is_noticed(saved):
    path, _ = saved
    good = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    used = [*range(2 * BLOCK, 2 * BLOCK + SLOT.size), *range(DATA_AT, len(good))]
    for at in rng.choice(used, 40, replace=False):
        bad = good.copy()
        bad[at] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        engine = make()
        with pytest.raises(SessionError, match="corrupt"):
            load(engine.cache, path, "model")
        assert engine.cache.pool.num_free == 12


def test_any_flipped_bit_in_the_header_is_noticed(saved):
    path, _ = saved
    good = path.read_bytes()
    for at in range(good.index(b"\n")):
        for bit in (1, 8):
            path.write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
            with pytest.raises(SessionError, match="starts afresh"):
                load(make().cache, path, "model")


@pytest.mark.parametrize("text", [b"[" * 4000, b"{}", b"[1]", b'{"magic": "kimi-cpu session"}', b"\xff\xfe"])
def test_what_is_no_session_is_told_from_one(saved, text):
    path, _ = saved
    path.write_bytes(text + b"\n" + bytes(9000))
    with pytest.raises(SessionError, match="starts afresh"):
        load(make().cache, path, "model")


def test_cache_of_another_type_is_named(saved):
    engine = make()
    engine.model.pages.kind = "other"
    with pytest.raises(SessionError, match="--kv fake"):
        load(engine.cache, saved[0], "model")


@pytest.mark.parametrize("size", [0, 10, 4096, 5000, DATA_AT, DATA_AT + 700, -1])
def test_truncated_file_is_refused(saved, size):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SessionError, match="starts afresh"):
        load(make().cache, path, "model")


def test_session_of_another_model_is_refused(saved):
    with pytest.raises(SessionError, match="another model; the conversation starts afresh"):
        load(make().cache, saved[0], "another")


def test_session_larger_than_the_cache_brings_what_fits(saved):
    engine = Engine(FakeModel(32, 2))
    load(engine.cache, saved[0], "model")
    request = greedy(PROMPT[:100], 3)
    finish(engine, [request])
    assert request.num_cached == 64  # one page; the other is needed for what follows


@pytest.mark.parametrize(
    "change",
    [{"page_bytes": value} for value in ("x", None, True, 2.0, 2**62)] + [{"model": 3}, {"cache": ["f16"]}],
    ids=str,
)
def test_header_of_wrong_fields_and_a_right_checksum_is_refused(saved, change):
    path, _ = saved
    write_header(path, read_header(path) | change)
    with pytest.raises(SessionError, match=r"talk\.session .*(corrupt|--kv).*starts afresh"):
        load(make().cache, path, "model")


@pytest.mark.parametrize("name", ["model", "cache", "page_bytes"])
def test_header_that_lacks_a_field_is_refused(saved, name):
    path, _ = saved
    header = read_header(path)
    del header[name]
    write_header(path, header)
    with pytest.raises(SessionError, match="corrupt"):
        load(make().cache, path, "model")


def test_format_of_another_version_is_named(saved):
    path, _ = saved
    write_header(path, read_header(path) | {"version": 2})
    with pytest.raises(SessionError, match="has session format 2, this program knows 4; the conversation starts"):
        load(make().cache, path, "model")


def read_header(path):
    return json.loads(path.read_bytes()[:BLOCK])


def write_header(path, header):
    header.pop("crc", None)
    header["crc"] = crc32(json.dumps(header).encode())
    path.write_bytes((json.dumps(header).encode() + b"\n").ljust(BLOCK, b" ") + path.read_bytes()[BLOCK:])


NAMES = ("before_at", "before_bytes", "before_crc", "kept_tokens", "kept_pages", "num_tokens", "num_cached")


@pytest.mark.parametrize("name", ["kept_tokens", "kept_pages", "num_tokens", "num_cached"])
@pytest.mark.parametrize("value", [1, 63, 181, 2**20, 2**62, 2**64 - 1])
def test_index_of_wrong_numbers_and_right_checksums_is_refused(saved, name, value):
    path, _ = saved
    rewrite_index(path, lambda index: set_number(index, name, value))
    with pytest.raises(SessionError, match=r"talk\.session is (corrupt|truncated)"):
        load(make().cache, path, "model")


@pytest.mark.parametrize(
    "more", [{"kept_tokens": 1, "num_tokens": 1}, {"kept_pages": 1, "num_cached": 64}], ids=["tokens", "pages"]
)
def test_index_that_keeps_what_was_never_there_is_refused(saved, more):
    path, session = saved
    longer = Tokens(*(np.append(part, np.zeros(99, part.dtype)) for part in session.tokens))
    save(Session(longer), make().cache, path, "model")

    def claim(index):
        for name, count in more.items():
            set_number(index, name, INDEX.unpack_from(index)[NAMES.index(name)] + count)

    rewrite_index(path, claim)
    with pytest.raises(SessionError, match="its saves contradict each other"):
        load(make().cache, path, "model")


def test_form_that_no_token_has_is_refused(saved):
    path, session = saved

    def spoil(index):
        index[INDEX.size + 4 * len(session.tokens.ids) + 3] = 7

    rewrite_index(path, spoil)
    with pytest.raises(SessionError, match="its tokens"):
        load(make().cache, path, "model")


def set_number(index, name, value):
    numbers = list(INDEX.unpack_from(index))
    numbers[NAMES.index(name)] = value
    INDEX.pack_into(index, 0, *numbers)


def rewrite_index(path, change):
    """Changes the newest index and makes the checksums right; the one before it is of no use then."""
    data = bytearray(path.read_bytes())
    (serial, at, num_bytes, _, _), block = max((SLOT.unpack_from(data, n * BLOCK), n) for n in (1, 2))
    index = data[at : at + num_bytes]
    change(index)
    slot = SLOT.pack(serial, at, num_bytes, crc32(index), 0)[:-4]
    data[at : at + num_bytes] = index
    data[BLOCK:DATA_AT] = bytes(2 * BLOCK)
    data[block * BLOCK : block * BLOCK + SLOT.size] = slot + crc32(slot).to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("what", ["pipe", "directory", "device"])
def test_what_is_no_file_is_no_session(tmp_path, what):
    path = tmp_path / "talk.session"
    {"pipe": os.mkfifo, "directory": os.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[what](path)
    with pytest.raises(SessionError, match=rf"talk\.session cannot be read .*{what}"):
        load(make().cache, path, "model")
