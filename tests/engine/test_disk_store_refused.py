"""A directory that refuses, or that holds what does not belong there, costs the store and never an answer."""

import errno
import logging
import os
import socket
import threading

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.engine import DiskStore
from kimi_cpu.errors import NonFiniteLogits

from .fake import FakeModel, greedy
from .test_disk_store import FILE_BYTES, PLENTY, PROMPT, ask, make, pages

KEY = "0123456789abcdef" * 2


@pytest.fixture
def alarm():
    """Ends a test that hangs."""
    timer = threading.Timer(60, lambda: os._exit(99))
    timer.start()
    yield
    timer.cancel()


def put(kind, path, elsewhere):
    """Makes something that is no regular file."""
    match kind:
        case "link":
            path.symlink_to(elsewhere)
        case "dangling":
            path.symlink_to(elsewhere / "nowhere")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "socket":
            before = os.getcwd()
            os.chdir(path.parent)  # a socket's path is short
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
            os.chdir(before)


KINDS = ["link", "dangling", "fifo", "directory", "socket"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_in_a_pages_place_is_left_alone(tmp_path, kind, when, alarm):
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * FILE_BYTES)
    store = tmp_path / "store"
    ask(make(store))
    engine = make(store)
    found = pages(store)
    for path in found:
        path.unlink()
        put(kind, path, precious if kind == "link" else tmp_path)
    if when == "before":
        engine = make(store, limit=2 * FILE_BYTES)
    assert ask(engine).num_cached == 0
    ask(engine, [7] * 200)
    assert precious.read_bytes() == b"x" * FILE_BYTES
    assert ask(engine).num_cached  # in memory


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_folder_in_a_namespaces_place_is_left_alone(tmp_path, kind, alarm):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victims = [elsewhere / f"{KEY}-.page", elsewhere / f"{KEY}-.page.1.partial", elsewhere / "precious"]
    for victim in victims:
        victim.write_bytes(b"x" * 1000)
        os.utime(victim, (0, 0))
    store = tmp_path / "store"
    store.mkdir()
    put(kind, store / KEY, elsewhere)
    engine = make(store, limit=2 * FILE_BYTES)
    assert engine.cache.store.num_bytes == 0
    ask(engine)
    assert all(victim.exists() for victim in victims)


@pytest.mark.parametrize("kind", ["link", "fifo", "socket"])
def test_own_namespace_that_is_no_folder_costs_the_store(tmp_path, kind, caplog, alarm):
    elsewhere, store = tmp_path / "elsewhere", tmp_path / "store"
    elsewhere.mkdir()
    ask(make(store))
    (folder,) = store.iterdir()
    folder.rename(tmp_path / "moved")
    put(kind, folder, elsewhere)
    if kind == "link":
        ask(make(store))
        assert len(caplog.records) == 1 and "no longer kept" in caplog.text
    else:
        with pytest.raises(OSError):
            DiskStore(store, PLENTY, "model")
    assert not list(elsewhere.iterdir())


def test_foreign_files_in_the_directory_are_not_touched(tmp_path):
    (tmp_path / KEY).mkdir()
    (tmp_path / "mine").mkdir()
    foreign = [tmp_path / KEY / "a.page", tmp_path / KEY / "b.partial", tmp_path / "mine" / f"{KEY}-.page"]
    for path in foreign:
        path.write_bytes(b"x" * 10_000)
        os.utime(path, (0, 0))
    engine = make(tmp_path, limit=2 * FILE_BYTES)
    ask(engine)
    assert all(path.stat().st_size == 10_000 for path in foreign)
    assert engine.cache.store.num_bytes <= 2 * FILE_BYTES


def test_names_that_go_in_a_circle_are_removed_like_others(tmp_path):
    (tmp_path / KEY).mkdir()
    for a, b in ((KEY, KEY), ("1" * 32, "2" * 32), ("2" * 32, "1" * 32)):
        (tmp_path / KEY / f"{a}-{b}.page").write_bytes(b"x" * FILE_BYTES)
    engine = make(tmp_path, limit=2 * FILE_BYTES)
    ask(engine)
    assert engine.cache.store.num_bytes <= 2 * FILE_BYTES


@pytest.fixture
def read_only(monkeypatch):
    """Nothing can be changed from now on; a test that runs as root has no other way."""

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    real = os.open

    def opened(path, flags, *args, **kwargs):
        return refuse() if flags & os.O_CREAT else real(path, flags, *args, **kwargs)

    def begin():
        for name in ("unlink", "utime", "replace", "remove"):
            monkeypatch.setattr(os, name, refuse)
        monkeypatch.setattr(os, "open", opened)

    return begin


@pytest.mark.parametrize("limit", [PLENTY, 3 * FILE_BYTES])
def test_read_only_directory_still_gives_what_it_has(tmp_path, read_only, limit, caplog):
    ask(make(tmp_path))
    read_only()
    engine = make(tmp_path, limit=limit)
    assert ask(engine).num_cached == (4 if limit == PLENTY else 3) * 64
    ask(engine, [7] * 200)
    ask(engine, [8] * 200)
    assert len(caplog.records) == 1 and "Read-only" in caplog.text


def test_damaged_page_that_cannot_be_removed_costs_the_store(tmp_path, read_only, caplog):
    ask(make(tmp_path))
    for path in pages(tmp_path):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    read_only()
    assert ask(make(tmp_path)).num_cached == 0
    assert "Read-only" in caplog.text


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_disk_that_fails_in_the_middle_of_a_page_leaves_nothing_behind(tmp_path, error, monkeypatch, caplog):
    engine = make(tmp_path)

    def fail(*args, **kwargs):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "replace", fail)
    ask(engine)
    ask(engine, [7] * 200)
    assert len(caplog.records) == 1 and not list(tmp_path.glob("*/*"))


def test_model_loads_without_its_store_where_the_directory_cannot_be_made(tiny_file, tmp_path, caplog):
    (tmp_path / "file").write_text("not a directory")
    with (
        caplog.at_level(logging.WARNING),
        kimi_cpu.load(tiny_file, cache_disk="10MiB", cache_dir=tmp_path / "file" / "prefixes") as llm,
    ):
        assert llm.generate("abc" * 100, max_tokens=3).token_ids
    assert len(caplog.records) == 1 and "prefixes are not kept on disk" in caplog.text


def test_pages_of_a_request_that_met_nan_are_not_left_on_disk(tmp_path):
    class Damaged(FakeModel):
        """Computes NaN once a prompt is there."""

        def forward(self, batch, watch):
            return np.full_like(super().forward(batch, watch), np.nan)

    engine = make(tmp_path)
    engine.model = Damaged(32, 12)
    request = greedy(PROMPT, 5)
    engine.add(request)
    outputs = []
    while engine.has_work:
        outputs += engine.step()
    assert isinstance(outputs[-1].error, NonFiniteLogits)
    assert engine.cache.export(request.tokens(0, len(PROMPT)))[0] == 0
    assert not pages(tmp_path) and ask(make(tmp_path)).num_cached == 0
