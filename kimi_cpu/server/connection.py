"""One TCP connection, which nobody holds by sending or reading next to nothing."""

import asyncio
import resource
import time

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .errors import ApiError
from .settings import Settings

MIN_RATE = 500  # bytes a second; Apache's mod_reqtimeout: body=20,MinRate=500


class Connection(H11Protocol):
    """uvicorn's, with limits of time: for the head of a request, and for reading what is sent. The guard has those for
    bodies. Where there are too many connections, the one that waits for its client for longest makes room."""

    def __init__(self, *args, settings: Settings, **kwargs):
        super().__init__(*args, **kwargs)
        self._slow_s, self._stall_s = settings.slow_s, settings.stall_s
        self._max_connections = settings.max_connections

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # whatever the client does not read at once is waited for
        self._head_timer = self.loop.call_later(self._slow_s, self._head_is_late)
        self._stall_timer: asyncio.TimerHandle | None = None
        self._idle_since_s = time.monotonic()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_awaited = self.conn.their_state is h11.IDLE
        if is_awaited and self.conn.trailing_data[0] and self._head_timer is None:
            self._head_timer = self.loop.call_later(self._slow_s, self._head_is_late)
        elif not is_awaited and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        self._idle_since_s = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _watch(self, num_bytes: int) -> None:
        """Looks again after a while whether enough of num_bytes was read."""
        self._stall_timer = self.loop.call_later(self._stall_s, self._ensure_reads, num_bytes)

    def _ensure_reads(self, before: int) -> None:
        now = self.transport.get_write_buffer_size()
        if before - now < MIN_RATE * self._stall_s:
            self.transport.abort()  # close() would wait for the client
        else:
            self._watch(now)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:  # a browser that connects ahead of time would take an answer for its next one's
            body = ApiError(408, f"The head of the request did not come within {self._slow_s:g} s.").response().body
            head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _make_room(self) -> None:
        """Closes a connection when there are too many: of those that wait for their clients, the oldest."""
        num_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = self._max_connections
        if len(self.connections) > (most if num_files == resource.RLIM_INFINITY else min(most, num_files // 2)):
            waiting = [c for c in self.connections if c._waits_for_client()]
            min(waiting, key=lambda c: c._idle_since_s).transport.abort()

    def _waits_for_client(self) -> bool:
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body
