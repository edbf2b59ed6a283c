"""Clients that are slow, stubborn or too many: they are told, dropped, and in nobody's way."""

import http.client
import json
import socket
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import httpx
import pytest

from kimi_cpu.llm import Piece
from kimi_cpu.server.errors import ApiError
from kimi_cpu.server.guard import Held

from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving

HELLO = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
QUICK = {"slow_s": 0.3, "stall_s": 0.3}


def connect(served) -> socket.socket:
    address = urlsplit(served.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def status(connection: socket.socket) -> int | None:
    """Of the answer that comes; None when the connection is closed without one."""
    line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line else None


@pytest.fixture(scope="module")
def quick():
    """A server with little patience."""
    with serving(FakeLLM([*text_pieces("Hi"), last_piece()]), **QUICK) as served:
        yield served


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", None),
        (b"GET /health HT", 408),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 408),
        (HEAD + b"Content-Length: 100\r\n\r\n", 408),
        (HEAD + b"Content-Length: 100\r\n\r\n{", 408),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", 408),
    ],
    ids=["nothing", "half a line", "half a header", "no body", "half a body", "half of the chunks"],
)
def test_client_that_stops_sending_is_told_and_dropped(quick, sent, told):
    with closing(connect(quick)) as connection:
        connection.sendall(sent)
        assert status(connection) == told


def test_twenty_clients_that_send_a_byte_now_and_then_are_dropped(quick):
    with ExitStack() as stack:
        starts = [b"GET /health HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 10000\r\n\r\n"] * 10
        connections = [stack.enter_context(closing(connect(quick))) for _ in starts]
        for connection, start in zip(connections, starts, strict=True):
            connection.sendall(start)
        left, began_s = list(connections), time.monotonic()
        while left and time.monotonic() - began_s < 15:
            time.sleep(0.1)
            for connection in list(left):
                try:
                    connection.sendall(b"x")
                except OSError:  # it was closed
                    left.remove(connection)
            assert quick.http.get("/health").status_code == 200
        assert not left


def test_body_that_comes_steadily_is_taken_however_long_it_takes(quick):
    body = HELLO + b" " * 3000
    with closing(connect(quick)) as connection:
        connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), 400):
            connection.sendall(body[start : start + 400])
            time.sleep(0.1)
        assert status(connection) == 200


def test_connection_that_idles_between_requests_is_kept(quick):
    with closing(http.client.HTTPConnection(urlsplit(quick.url).netloc, timeout=20)) as client:
        for _ in range(2):
            client.request("GET", "/health")
            assert client.getresponse().read()
            first = client.sock
            time.sleep(0.8)
        assert client.sock is first is not None


def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements(quick):
    times_s = []
    for _ in range(8):
        began_s = time.monotonic()
        assert quick.http.get("/health").status_code == 200
        times_s.append(time.monotonic() - began_s)
    assert min(times_s[2:]) < 0.03  # Linux delays an acknowledgement by 40 ms


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_does_not_read_frees_its_place(stream):
    llm = FakeLLM([Piece(content="x" * 1_000_000, token_ids=(1,))] * 40 + [last_piece()])
    with serving(llm, parallel=1, max_waiting=0, **QUICK) as served, closing(connect(served)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps(json.loads(HELLO) | {"stream": stream}).encode()
        connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        connection.recv(1)
        llm.play([*text_pieces("Hi"), last_piece()])
        for _ in range(200):
            answer = served.http.post(
                "/v1/chat/completions", content=HELLO, headers={"Content-Type": "application/json"}
            )
            if answer.status_code == 200:
                break
            time.sleep(0.05)
        assert answer.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/nothing", "/health"])
def test_refusal_of_a_body_of_50_mb_can_be_read(http, path, chunked):
    size, part = 50_000_000, b"x" * 1_000_000
    content = (part for _ in range(50)) if chunked else part * 50
    headers = {"Content-Type": "application/json"} | ({} if chunked else {"Content-Length": str(size)})
    answer = http.post(path, content=content, headers=headers)
    refused_early = {"/nothing": 404, "/health": 405}
    assert answer.status_code == (refused_early.get(path, 413) if chunked else 413)
    assert answer.json()["error"]["message"]
    assert http.get("/health").status_code == 200


def test_body_that_waits_for_leave_is_refused_without_being_asked_for(http):
    served = urlsplit(str(http.base_url))
    with closing(socket.create_connection((served.hostname, served.port), timeout=20)) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 50000000\r\n\r\n")
        assert status(connection) == 413


def test_connection_beyond_the_last_takes_the_place_of_the_one_that_waits_for_longest():
    patient = {"max_connections": 4, "slow_s": 1000}  # so that nothing else ends a connection
    with serving(FakeLLM([*text_pieces("Hi"), last_piece()]), **patient) as served, ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(served))) for _ in range(4)]  # a fifth was there before
        assert httpx.get(f"{served.url}/health").status_code == 200
        assert status(connections[0]) is None


def test_bodies_that_are_held_at_once_are_bounded():
    held = Held(100)
    held.add(60)
    with pytest.raises(ApiError, match="Try again"):
        held.add(60)
    held.remove(60)
    held.add(60)
