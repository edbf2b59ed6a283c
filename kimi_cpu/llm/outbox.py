"""Where the engine's thread leaves what it made of a request, for threads that wait and for event loops that do not."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any


class Outbox:
    """A queue: `put` from any thread; wait in threads, or in event loops, which costs no thread. Whoever reads holds
    `reading` for `take` and for what must go with it; `put` never waits for that."""

    def __init__(self):
        self.reading = threading.Lock()
        self._items: deque[tuple[float, Any]] = deque()
        self._changed = threading.Condition()
        self._num_changes = 0
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future]] = []
        self.listener: Callable[[], None] | None = None  # called after each put, by its thread

    @property
    def num_changes(self) -> int:
        """Grows with whatever is put or read: who finds nothing waits until it is another than before he looked."""
        return self._num_changes

    def put(self, item: Any) -> None:
        """Adds an item and wakes everyone who waits."""
        self._items.append((time.perf_counter(), item))
        self.wake()
        if self.listener is not None:
            self.listener()

    def take(self) -> tuple[float, Any]:
        """When the oldest item came, and the item. IndexError when there is none."""
        return self._items.popleft()

    def wake(self) -> None:
        """Lets all who wait look again."""
        with self._changed:
            self._num_changes += 1
            self._changed.notify_all()
            wakers, self._wakers = self._wakers, []
        for loop, future in wakers:
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop is closed, and nobody waits there any more
                continue

    def wait(self, num_changes: int) -> None:
        """Sleeps until num_changes is another."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_changes != num_changes)

    def future(self, num_changes: int) -> asyncio.Future:
        """Of the running event loop, done when num_changes is another."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._changed:
            if self._num_changes == num_changes:
                self._wakers.append((loop, future))
                return future
        future.set_result(None)
        return future


def _resolve(future: asyncio.Future) -> None:
    if not future.done():  # its waiter may have been cancelled
        future.set_result(None)
