"""Where the engine's thread leaves what it made of a request, for threads that wait and for event loops that do not."""

import asyncio
import threading
import time
from collections import deque
from typing import Any


class Outbox:
    """A queue: `put` from any thread; wait in threads, or in event loops, which costs no thread. Whoever reads holds
    `lock` for `take` and for what must go with it."""

    def __init__(self):
        self._items: deque[tuple[float, Any]] = deque()
        self._changed = threading.Condition()
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future]] = []

    @property
    def lock(self) -> threading.Condition:
        """Held while an item is taken and read; `put` waits for it."""
        return self._changed

    def put(self, item: Any) -> None:
        """Adds an item and wakes everyone who waits."""
        with self._changed:
            self._items.append((time.perf_counter(), item))
            self.wake()

    def take(self) -> tuple[float, Any]:
        """When the oldest item came, and the item; with the lock held. IndexError when there is none."""
        return self._items.popleft()

    def wake(self) -> None:
        """Lets all who wait look again, with the lock held."""
        self._changed.notify_all()
        wakers, self._wakers = self._wakers, []
        for loop, future in wakers:
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop is closed, and nobody waits there any more
                continue

    def wait(self) -> None:
        """Sleeps until something changes, with the lock held."""
        self._changed.wait()

    def future(self) -> asyncio.Future:
        """Of the running event loop, done when something changes; with the lock held."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._wakers.append((loop, future))
        return future


def _resolve(future: asyncio.Future) -> None:
    if not future.done():  # its waiter may have been cancelled
        future.set_result(None)
