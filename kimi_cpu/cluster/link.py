"""TCP connections between the processes of a run. Both ends prove that they know its key, and nothing that comes is
unpickled."""

import os
import socket
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener

Address = tuple[str, int]
FAILURES = (OSError, EOFError, AuthenticationError)  # of a connection, or of the attempt to make one


def listening(host: str, key: bytes) -> Listener:
    """A listener at an address of this host. OSError."""
    return Listener((host, 0), backlog=8, authkey=key)


def port_of(listener: Listener) -> int:
    """The port that it was given."""
    _, port = listener.address
    assert isinstance(port, int), "it is a TCP port"
    return port


def accepted(listener: Listener) -> Connection:
    """The next connection of somebody who knows the key."""
    while True:
        with suppress(*FAILURES):  # somebody else
            return without_delay(listener.accept())


def connect(address: Address, key: bytes) -> Connection:
    """A connection to who listens there. One of FAILURES."""
    return without_delay(Client(address, authkey=key))


def without_delay(connection: object) -> Connection:
    """A TCP connection that sends what is written at once, small messages too (TCP_NODELAY)."""
    assert isinstance(connection, Connection), "it is no pipe of Windows"
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def hang_up(connection: Connection) -> None:
    """Ends a connection, also for a thread that waits for what comes over it."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sock.shutdown(socket.SHUT_RDWR)
