"""A queue between two threads that has so many bytes, and makes the one that brings more wait."""

import threading
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Messages that one thread leaves for another. Who leaves one waits while so many bytes, or more, are there."""

    def __init__(self, num_bytes: int):
        self._limit, self._num_bytes, self._is_closed = num_bytes, 0, False
        self._messages: SimpleQueue[tuple[T | None, int]] = SimpleQueue()
        self._changed = threading.Condition()

    def put(self, message: T, num_bytes: int) -> None:
        """Leaves a message of so many bytes; nothing in a line that was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_bytes < self._limit or self._is_closed)
            if not self._is_closed:
                self._num_bytes += num_bytes
                self._messages.put((message, num_bytes))

    def get(self) -> T | None:
        """The next message, once there is one. None: there are no more."""
        message, num_bytes = self._messages.get()
        with self._changed:
            self._num_bytes -= num_bytes
            self._changed.notify_all()
        return message

    def close(self) -> None:
        """No more messages come than those that are there."""
        with self._changed:
            self._is_closed = True
            self._messages.put((None, 0))
            self._changed.notify_all()
