"""Messages between the driver and an engine on a host: they go over a connection of their own, as a call of Ray costs
more CPU time than all that a request has to say."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from . import wire
from .link import FAILURES, Address, connect, hang_up

SILENT_S = 10.0  # in which an engine that can be reached has said something several times


class Channel:
    """The driver's end. Ray says when the engine is gone with its host, and the connection when it is gone alone."""

    def __init__(self, actor: Any, address: Address, key: bytes):
        """actor: Ray's handle of an EngineActor that is loaded. address, key: where it listens, and for whom."""
        self._actor, self._address, self._key = actor, address, key
        self._due: SimpleQueue[bytes] = SimpleQueue()  # messages that are to be sent; an empty one: no more
        self._lock, self._is_over = threading.Lock(), False
        self._connection: Connection | None = None
        self._lost: Callable[[], None] = lambda: None

    def open(
        self, heard: Callable[[bytes], None], lost: Callable[[], None], silent: Callable[[], None] = lambda: None
    ) -> None:
        """Has the engine answer. heard: called with each of its messages, on a thread of the channel's. silent: there,
        when none came for SILENT_S. lost: called once, from any thread, when no more come."""
        self._lost = lost
        ended: Future[None] = self._actor.run.options(concurrency_group="run").remote().future()
        ended.add_done_callback(lambda _: self.close())
        threading.Thread(target=self._receive, args=(heard, silent), name="kimi-cpu channel", daemon=True).start()

    def send(self, message: bytes) -> None:
        """Leaves a message, which goes as soon as it can. Never waits."""
        self._due.put(message)

    def close(self) -> None:
        """Hangs up."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        if not was_over:
            self._due.put(b"")
            if self._connection is not None:
                hang_up(self._connection)
            self._lost()

    def _receive(self, heard: Callable[[bytes], None], silent: Callable[[], None]) -> None:
        try:
            connection = self._connection = connect(self._address, self._key)
            threading.Thread(target=self._send, args=(connection,), name="kimi-cpu channel", daemon=True).start()
            while not self._is_over:
                if connection.poll(SILENT_S):
                    heard(connection.recv_bytes())
                else:
                    silent()
        except FAILURES:  # the engine is gone
            pass
        finally:
            self.close()
            if self._connection is not None:  # which may not have been there when somebody else closed
                hang_up(self._connection)

    def _send(self, connection: Connection) -> None:
        """Sends together what waits together."""
        with suppress(OSError):  # as _receive sees
            while True:
                messages = [self._due.get()]
                with suppress(Empty):
                    while True:
                        messages.append(self._due.get_nowait())
                if not all(messages):
                    return
                connection.send_bytes(wire.pack_together(messages))
