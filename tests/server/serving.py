"""A real server on a free port, in a thread of the test."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from kimi_cpu.server import Settings, bind
from kimi_cpu.server.app import run


@dataclass(frozen=True)
class Served:
    """Where a server is, and a client for it."""

    url: str
    http: httpx.Client


@contextmanager
def serving(llm, load=None, ready: bool = True, **settings) -> Iterator[Served]:
    """Serves an LLM (or what load() returns) until the block ends. ready: wait until it is loaded."""
    chosen = Settings(**{"port": 0, "ping_s": 0.05, "shutdown_s": 1} | settings)
    listener = bind(chosen)
    started = threading.Event()
    loops: list = []

    async def main() -> None:
        stop = asyncio.Event()
        loops.extend([asyncio.get_running_loop(), stop])
        started.set()
        await run(load or (lambda: llm), chosen, listener, stop)

    def target() -> None:
        try:
            asyncio.run(main())
        except Exception as e:
            loops.append(e)

    thread = threading.Thread(target=target)
    thread.start()
    started.wait()
    url = f"http://{chosen.host}:{listener.getsockname()[1]}"
    headers = {} if chosen.api_key is None else {"Authorization": f"Bearer {chosen.api_key}".encode()}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
        try:
            while ready and thread.is_alive() and http.get("/health").status_code == 503:
                time.sleep(0.01)
            yield Served(url, http)
        finally:
            if not loops[0].is_closed():
                loops[0].call_soon_threadsafe(loops[1].set)
            thread.join()
            if len(loops) > 2:
                raise loops[2]
