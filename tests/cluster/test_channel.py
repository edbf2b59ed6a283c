"""Messages between a driver and an engine: both ends know the key, and each learns that the other is gone."""

import json
import threading
from concurrent.futures import Future
from multiprocessing import AuthenticationError
from queue import SimpleQueue

import pytest

from kimi_cpu.cluster import channel
from kimi_cpu.cluster.channel import Channel
from kimi_cpu.cluster.link import accepted, connect, hang_up, listening, port_of

from .here import HOST, KEY, Reference

WAIT_S = 20


class Called:
    """The method `run` of an actor, as Ray has it."""

    def __init__(self):
        self.ended = Future()

    def options(self, concurrency_group):
        return self

    def remote(self):
        return Reference(self.ended)


class Actor:
    """An engine, of which a test is the other end."""

    def __init__(self):
        self.run, self.listener = Called(), listening(HOST, KEY)
        self.address = HOST, port_of(self.listener)


@pytest.fixture
def actor():
    made = Actor()
    yield made
    made.listener.close()


@pytest.fixture
def heard():
    return SimpleQueue()


@pytest.fixture
def opened(actor, heard):
    """A channel to the actor, and the other end. None is heard when nothing more comes."""
    made = Channel(actor, actor.address, KEY)
    made.open(heard.put, lambda: heard.put(None), lambda: heard.put("silence"))
    connection = accepted(actor.listener)
    yield made, connection
    made.close()


def test_messages_go_in_their_order_and_together_when_they_wait(actor, heard):
    made = Channel(actor, actor.address, KEY)
    for number in range(3):
        made.send(b"[%d]" % number)
    made.open(heard.put, lambda: heard.put(None))
    engine = accepted(actor.listener)
    assert json.loads(engine.recv_bytes()) == [[0], [1], [2]]
    made.send(b"[3]")
    assert json.loads(engine.recv_bytes()) == [[3]]
    engine.send_bytes(b"an answer")
    assert heard.get(timeout=WAIT_S) == b"an answer"
    made.close()
    with pytest.raises(EOFError):
        engine.recv_bytes()
    assert heard.get(timeout=WAIT_S) is None and heard.empty()


def test_engine_that_hangs_up_is_lost_once(opened, heard):
    made, engine = opened
    engine.send_bytes(b"the last words")
    hang_up(engine)
    assert [heard.get(timeout=WAIT_S) for _ in range(2)] == [b"the last words", None]
    made.send(b"[1]")
    made.close()
    assert heard.empty()


def test_engine_of_which_ray_says_that_it_is_gone_is_lost(actor, opened, heard):
    _, engine = opened
    actor.run.ended.set_exception(ConnectionError("The actor died."))
    assert heard.get(timeout=WAIT_S) is None and heard.empty()
    with pytest.raises(EOFError):
        engine.recv_bytes()


def test_channel_that_is_closed_while_it_connects_hangs_up(actor, heard, monkeypatch):
    made, connect = Channel(actor, actor.address, KEY), channel.connect

    def connected(address, key):
        connection = connect(address, key)
        made.close()
        return connection

    monkeypatch.setattr(channel, "connect", connected)
    made.open(heard.put, lambda: heard.put(None))
    engine = accepted(actor.listener)
    assert engine.poll(WAIT_S)
    with pytest.raises(EOFError):
        engine.recv_bytes()


def test_engine_that_listens_no_more_is_lost(actor, heard):
    actor.listener.close()
    Channel(actor, actor.address, KEY).open(heard.put, lambda: heard.put(None))
    assert heard.get(timeout=WAIT_S) is None


def test_silence_is_told_and_is_no_loss(actor, heard, monkeypatch):
    monkeypatch.setattr(channel, "SILENT_S", 0.01)
    made = Channel(actor, actor.address, KEY)
    made.open(heard.put, lambda: heard.put(None), lambda: heard.put("silence"))
    engine = accepted(actor.listener)
    assert heard.get(timeout=WAIT_S) == "silence"
    engine.send_bytes(b"an answer")
    while (message := heard.get(timeout=WAIT_S)) == "silence":
        pass
    assert message == b"an answer"
    made.close()


def test_who_does_not_know_the_key_is_not_let_in(actor):
    came = SimpleQueue()
    threading.Thread(target=lambda: came.put(accepted(actor.listener)), daemon=True).start()
    with pytest.raises(AuthenticationError):
        connect(actor.address, b"another key")
    assert came.empty()
    mine = connect(actor.address, KEY)
    mine.send_bytes(b"me")
    assert came.get(timeout=WAIT_S).recv_bytes() == b"me"
