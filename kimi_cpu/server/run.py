"""Runs a server until it is told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from functools import partial

import uvicorn

from ..errors import ConfigError
from ..llm import LLM
from .app import create_app
from .connection import Connection
from .service import Service
from .settings import Settings

BACKLOG = 2048  # uvicorn's own
KEEP_ALIVE_S = 75  # nginx's own; uvicorn's 5 s are less than clients keep connections for


def bind(settings: Settings) -> socket.socket:
    """A socket at the address of the settings; port 0 takes a free one. ConfigError: it cannot be had."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as e:
        reason = e.strerror or str(e)
        raise ConfigError(f"{settings.host} port {settings.port}: {reason}. Choose another --host or --port.") from e


def serve(load: Callable[[], LLM], settings: Settings, listener: socket.socket) -> None:
    """Serves the model that load() makes, until SIGTERM, SIGHUP, or SIGINT, which raises KeyboardInterrupt.

    load runs on another thread while the server already answers; what it raises ends the server and is raised here.
    """
    asyncio.run(_serve_until_signal(load, settings, listener))


async def _serve_until_signal(load: Callable[[], LLM], settings: Settings, listener: socket.socket) -> None:
    loop, stop, received = asyncio.get_running_loop(), asyncio.Event(), []

    def on_signal(number: int) -> None:
        received.append(number)
        stop.set()

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as nohup wants it
    for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else [])):
        loop.add_signal_handler(number, on_signal, number)
    await run(load, settings, listener, stop)
    if received[:1] == [signal.SIGINT]:
        raise KeyboardInterrupt


async def run(load: Callable[[], LLM], settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves until stop is set, or the model cannot be loaded, which is raised."""
    service = Service(load, settings)
    config = uvicorn.Config(
        create_app(service),
        http=partial(Connection, settings=settings),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    loading = asyncio.create_task(service.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({loading, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done() and loading.exception() is None:
            keeping = asyncio.create_task(service.keep_alive())
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            keeping.cancel()
    finally:
        server.should_exit = True
        await service.stop()
        await serving
        stopping.cancel()
        loading.cancel()
    if loading.done() and not loading.cancelled():
        loading.result()


class _Server(uvicorn.Server):
    """uvicorn's, without its signal handlers: who runs it decides on those."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield
