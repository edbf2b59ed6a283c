"""Who may use a server: Host, Origin, key, address; and how much at once."""

import asyncio
import json
import socket

import httpx
import pytest

from kimi_cpu.errors import ConfigError
from kimi_cpu.server import Settings, bind
from kimi_cpu.server.guard import Guard

from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
SCRIPT = [*text_pieces("Hi"), last_piece()]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost.evil.example", ""])
def test_name_that_is_not_ours_is_refused(http, host):
    assert http.get("/v1/models", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080", "192.168.1.5", "page.localhost"])
def test_plain_address_and_localhost_are_served(http, host):
    assert http.get("/v1/models", headers={"Host": host}).status_code == 200


def test_page_of_another_site_may_not_use_the_server(http, fake):
    answer = http.post("/v1/chat/completions", json=HELLO, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403 and fake.calls == []
    assert "access-control-allow-origin" not in answer.headers
    own = f"http://{http.base_url.netloc.decode()}"
    assert http.post("/v1/chat/completions", json=HELLO, headers={"Origin": own}).status_code == 200


def test_allowed_origins_and_names_are_let_in():
    with serving(FakeLLM(SCRIPT), origins=("https://good.example",), hosts=("kimi.lan",)) as served:
        asking = {"Origin": "https://good.example", "Access-Control-Request-Method": "POST"}
        preflight = served.http.options("/v1/chat/completions", headers=asking)
        assert preflight.headers["access-control-allow-origin"] == "https://good.example"
        answer = served.http.post("/v1/chat/completions", json=HELLO, headers={"Origin": "https://good.example"})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://good.example"
        other = served.http.post("/v1/chat/completions", json=HELLO, headers={"Origin": "https://other.example"})
        assert other.status_code == 403
        assert served.http.get("/health", headers={"Host": "kimi.lan:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic s\u00e9cret".encode()}, 401),
        ({"Authorization": "Bearer s\u00e9cret".encode()}, 200),
        ({"Authorization": "bearer s\u00e9cret".encode()}, 200),
        ({"x-api-key": "s\u00e9cret".encode()}, 200),
        ({"x-api-key": "s\u00e9cre".encode()}, 401),
    ],
    ids=str,
)
def test_key_is_asked_for_where_there_is_one(headers, status, keyed):
    answer = httpx.post(f"{keyed}/v1/messages", json=HELLO | {"max_tokens": 5}, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{keyed}/metrics", headers=headers).status_code == 401


@pytest.mark.parametrize("right", ["Authorization", "x-api-key"])
def test_either_key_is_enough_beside_a_wrong_one(keyed, right):
    headers = {"Authorization": b"Bearer wrong", "x-api-key": b"wrong"}
    headers[right] = headers[right].replace(b"wrong", "s\u00e9cret".encode())
    assert httpx.get(f"{keyed}/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/v1/health", "/v1/models", "/metrics", "/page/app.js"])
def test_head_and_options_are_answered_without_a_body(http, path):
    told, asked = http.head(path), http.options(path)
    assert (told.status_code, told.content, told.headers["content-type"]) == (
        200,
        b"",
        http.get(path).headers["content-type"],
    )
    assert (asked.status_code, asked.content) == (200, b"")
    assert {"GET", "HEAD", "OPTIONS"} <= set(asked.headers["allow"].split(", "))


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/v1/health", 200), ("/v1/models", 403), ("/metrics", 403)]
)
def test_probe_that_names_no_host_may_ask_for_health_only(http, path, status):
    with socket.create_connection(http.base_url.netloc.decode().split(":")) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert int(connection.makefile("rb").readline().split()[1]) == status


def test_health_and_page_need_no_key(keyed):
    assert httpx.get(f"{keyed}/health").status_code == 200
    assert httpx.get(f"{keyed}/").status_code == 200


@pytest.fixture(scope="module")
def keyed():
    with serving(FakeLLM(SCRIPT), api_key="s\u00e9cret") as served:
        yield served.url


def test_public_address_needs_a_key_or_a_word():
    with pytest.raises(ConfigError, match="--api-key"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", api_key="k").host == Settings(host="0.0.0.0", open_to_all=True).host
    assert [Settings(host=h).host for h in ("127.0.0.2", "::1", "localhost")] == ["127.0.0.2", "::1", "localhost"]
    with pytest.raises(ConfigError, match="empty"):
        Settings(api_key="")


def test_address_that_is_taken_is_one_sentence():
    with bind(Settings(port=0)) as taken, pytest.raises(ConfigError, match="in use.*--port"):
        bind(Settings(port=taken.getsockname()[1]))


def test_body_that_is_too_large_is_413_with_and_without_a_length():
    with serving(FakeLLM(SCRIPT), max_body_bytes=1000) as served:
        large = json.dumps(HELLO | {"user": "x" * 1000}).encode()
        kind = {"Content-Type": "application/json"}
        answer = served.http.post("/v1/chat/completions", content=large, headers=kind)
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
        pieces = (large[i : i + 100] for i in range(0, len(large), 100))
        assert served.http.post("/v1/chat/completions", content=pieces, headers=kind).status_code == 413
        assert served.http.post("/v1/chat/completions", json=HELLO).status_code == 200


@pytest.mark.parametrize("length", [[(b"content-length", b"30")], [(b"transfer-encoding", b"chunked")]])
def test_body_that_is_refused_is_read_before_the_answer(length):
    parts, left_when_answered = [b"x" * 10] * 3, []

    async def receive():
        return {"type": "http.request", "body": parts.pop(), "more_body": bool(parts)}

    async def send(message):
        left_when_answered.append(len(parts))

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass

    scope = {"type": "http", "path": "/v1/models", "method": "POST", "headers": [(b"host", b"localhost"), *length]}
    asyncio.run(Guard(app, Settings(max_body_bytes=15))(scope, receive, send))
    assert left_when_answered == [0, 0]  # a connection closed on what is still sent would take the answer away


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/v1/models", 405)])
def test_every_error_has_openais_shape(http, method, path, status):
    answer = http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"{}"])
def test_body_that_is_no_request_is_400(http, body):
    answer = http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_every_answer_tells_browsers_to_be_strict(http):
    for path in ("/", "/health", "/nothing"):
        headers = http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
