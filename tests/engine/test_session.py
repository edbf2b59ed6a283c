"""Sessions on disk: what was computed comes back, and a bad file is told from a good one."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from zlib import crc32

import numpy as np
import pytest

from kimi_cpu.engine import Engine
from kimi_cpu.engine.block_pool import Tokens
from kimi_cpu.engine.session import ALIGNMENT, Session, load, save
from kimi_cpu.errors import SessionError

from .fake import FakeModel, FakePages, finish, greedy

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
    used = [*range(4096, 4096 + 5 * 180), *range(8192, len(good))]
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


@pytest.mark.parametrize("size", [0, 10, 4096, 5000, 9000, -1])
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


def test_save_that_fails_leaves_the_old_file_and_nothing_else(saved):
    path, session = saved

    class Broken(FakePages):
        def read(self, page):
            raise OSError("no such luck")

    engine, before = make(), path.read_bytes()
    conversation(engine)
    engine.cache.pages = Broken(12)
    with pytest.raises(OSError, match="no such luck"):
        save(session, engine.cache, path, "model")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_killing_a_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "talk.session"
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.engine.test_session import conversation, make, save
        engine = make()
        session = conversation(engine)
        save(session, engine.cache, Path(sys.argv[1]), "model")
        print("saved", flush=True)
        while True:
            save(session, engine.cache, Path(sys.argv[1]), "model")
        """
    )
    for delay in (0.0, 0.003, 0.007):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"saved\n"
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(load(make().cache, path, "model").tokens.ids) == 180


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name in ("num_tokens", "num_cached", "num_pages") for value in (-1, None, "3", 2.0, True)),
        *({"num_tokens": 2**62}, {"num_pages": 2**62}, {"num_cached": 10**6}, {"num_pages": 0}, {"num_cached": 0}),
        *({"page_bytes": "x"}, {"page_bytes": None}, {"tokens_crc": None}, {"model": 3}, {"cache": ["f16"]}),
    ],
    ids=str,
)
def test_header_of_wrong_fields_and_a_right_checksum_is_refused(saved, change):
    path, _ = saved
    data = path.read_bytes()
    header = json.loads(data[:ALIGNMENT]) | change
    del header["crc"]
    write_header(path, header, data)
    with pytest.raises(SessionError, match=r"talk\.session .*(corrupt|truncated|--kv).*starts afresh"):
        load(make().cache, path, "model")


@pytest.mark.parametrize(
    "name", ["num_tokens", "num_cached", "num_pages", "page_bytes", "model", "cache", "tokens_crc"]
)
def test_header_that_lacks_a_field_is_refused(saved, name):
    path, _ = saved
    data = path.read_bytes()
    header = json.loads(data[:ALIGNMENT])
    del header["crc"], header[name]
    write_header(path, header, data)
    with pytest.raises(SessionError, match="corrupt"):
        load(make().cache, path, "model")


def write_header(path, header, data):
    header["crc"] = crc32(json.dumps(header).encode())
    path.write_bytes((json.dumps(header).encode() + b"\n").ljust(ALIGNMENT, b" ") + data[ALIGNMENT:])


def test_form_that_no_token_has_is_refused(saved):
    path, session = saved
    data = bytearray(path.read_bytes())
    header, n = json.loads(data[:ALIGNMENT]), len(session.tokens.ids)
    del header["crc"]
    data[ALIGNMENT + 4 * n + 3] = 7
    header["tokens_crc"] = crc32(data[ALIGNMENT : ALIGNMENT + 5 * n])
    write_header(path, header, data)
    with pytest.raises(SessionError, match="its tokens"):
        load(make().cache, path, "model")


@pytest.mark.parametrize("what", ["pipe", "directory", "device"])
def test_what_is_no_file_is_no_session(tmp_path, what):
    path = tmp_path / "talk.session"
    {"pipe": os.mkfifo, "directory": os.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[what](path)
    with pytest.raises(SessionError, match=rf"talk\.session cannot be read .*{what}"):
        load(make().cache, path, "model")
