"""Ways of sending a request: as it should be, slowly, halfway, or against the protocol."""

import socket
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse

from .grammar import Attack

PATIENCE_S = 60.0  # a client that waits longer has left
KEPT = 2000  # bytes of an answer's beginning, and of its end
DRIP_S, NUM_DRIPS = 1.0, 45


def send(port: int, attack: Attack) -> tuple[str, str]:
    """Sends a request. Returns its status ("200", …, or "closed", "timeout") and the beginning of its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            WAYS[attack.way](connection, attack)
            return _answer(connection)
        except TimeoutError:
            return "timeout", ""
        except OSError:
            return _rest(connection)


def _rest(connection: socket.socket) -> tuple[str, str]:
    """What came before the server closed on a client that was still sending."""
    try:
        return _answer(connection)
    except OSError:
        return "reset", ""


def _answer(connection: socket.socket) -> tuple[str, str]:
    """Reads one answer whole; keeps its beginning and its end."""
    response, deadline, first, last = HTTPResponse(connection), time.monotonic() + PATIENCE_S, b"", b""
    try:
        response.begin()
        while part := response.read1(1 << 16):
            first, last = (first + part)[:KEPT], (last + part)[-KEPT:]
            if time.monotonic() > deadline:
                return "timeout", ""
    except HTTPException:
        return "closed", ""
    return str(response.status), (first + last).decode("utf-8", "replace")


def _head(attack: Attack, length: int | None = None, *more: str) -> bytes:
    length = len(attack.body) if length is None else length
    lines = [
        f"POST {attack.path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def _plain(connection: socket.socket, attack: Attack) -> None:
    connection.sendall(_head(attack) + attack.body)


def _drip(connection: socket.socket, data: bytes) -> None:
    for byte in data[:NUM_DRIPS]:
        connection.sendall(bytes([byte]))
        time.sleep(DRIP_S)


def _drip_body(connection: socket.socket, attack: Attack) -> None:
    connection.sendall(_head(attack))
    _drip(connection, attack.body)


def _half_body(connection: socket.socket, attack: Attack) -> None:
    connection.sendall(_head(attack) + attack.body[: len(attack.body) // 2])
    connection.shutdown(socket.SHUT_WR)


def _leave_early(connection: socket.socket, attack: Attack) -> None:
    _plain(connection, attack)
    time.sleep(0.05)
    connection.shutdown(socket.SHUT_RDWR)


def _never_read(connection: socket.socket, attack: Attack) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    _plain(connection, attack)
    time.sleep(5)


def _bad_chunks(connection: socket.socket, attack: Attack) -> None:
    head = f"POST {attack.path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    connection.sendall(head + b'5\r\n{"a":\r\nffffffffffff\r\nzz\r\n-1\r\n')


def _old_http(connection: socket.socket, attack: Attack) -> None:
    connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")


def _odd_method(connection: socket.socket, attack: Attack) -> None:
    connection.sendall(f"BREW {attack.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())


WAYS: dict[str, Callable[[socket.socket, Attack], None]] = {
    "plain": _plain,
    "drip_header": lambda connection, attack: _drip(connection, _head(attack)),
    "drip_body": _drip_body,
    "half_body": _half_body,
    "leave_early": _leave_early,
    "never_read": _never_read,
    "bad_length": lambda connection, attack: connection.sendall(_head(attack, -5) + attack.body),
    "bad_chunks": _bad_chunks,
    "long_header": lambda connection, attack: connection.sendall(_head(attack, None, "X-Long: " + "x" * 10**6)),
    "no_request": lambda connection, attack: connection.sendall(b"\x16\x03\x01\x00\xff" + b"\x00" * 500),
    "pipelined": lambda connection, attack: connection.sendall((_head(attack) + attack.body) * 3),
    "old_http": _old_http,
    "odd_method": _odd_method,
}
