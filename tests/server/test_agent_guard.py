"""Who may have tools run: the token, and no page of another origin, whatever the rest of the server lets in."""

import pytest

from kimi_cpu.server import Settings
from tests.agent.fake import Turn

from .agent_client import HEADERS, AgentLLM, configured, serving_agent
from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving

GO = {"messages": [{"role": "user", "content": "Go"}]}
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def open_server(tiny_file, tmp_path_factory):
    """A server that pages of all origins may use, by one of its names, with a key."""
    import kimi_cpu

    llm = AgentLLM(Turn("ok"), tokenizer=kimi_cpu.Tokenizer.load(tiny_file))
    path = configured(tmp_path_factory.mktemp("mcp"))
    with serving_agent(llm, path, origins=("*",), hosts=("kimi.lan",), api_key="the key") as client:
        yield llm, client.served


@pytest.fixture
def http(open_server):
    open_server[0].play(Turn("ok"))
    return open_server[1].http


@pytest.mark.parametrize("token", ["", "the key", "the-tokens", "\xff"])
def test_key_of_the_model_is_not_enough(http, token):
    for answer in (
        http.post("/v1/agent/runs", json=GO, headers={b"X-Agent-Token": token.encode("latin-1")}),
        http.get("/v1/agent/tools", headers={b"X-Agent-Token": token.encode("latin-1")}),
        http.get("/v1/%61gent/tools", headers={b"X-Agent-Token": token.encode("latin-1")}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "agent_token")
        assert "link that the server printed" in answer.json()["error"]["message"]
    assert http.post("/v1/agent/runs", json=GO, headers={"Authorization": "Bearer x"}).status_code == 401
    assert "ok" in http.post("/v1/agent/runs", json=GO).text


def test_page_of_another_origin_can_neither_run_nor_read_nor_ask_beforehand(http):
    for answer in (
        http.post("/v1/agent/runs", json=GO, headers={"Origin": EVIL}),
        http.get("/v1/agent/tools", headers={"Origin": EVIL}),
        http.post("/v1/agent/runs", content="{}", headers={"Origin": "null", "Content-Type": "text/plain"}),
        http.options("/v1/agent/runs", headers={"Origin": EVIL, "Access-Control-Request-Method": "POST"}),
        http.post("/v1/agent/runs", json=GO, headers={"Host": "evil.example"}),
    ):
        assert answer.status_code == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
    asking = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" in http.options("/v1/chat/completions", headers=asking).headers
    own = {"Origin": str(http.base_url).rstrip("/")}
    assert http.get("/v1/agent/tools", headers=own).status_code == 200
    assert "frame-ancestors 'none'" in http.get("/").headers["content-security-policy"]


def test_server_without_mcp_has_no_agent(tmp_path):
    with serving(FakeLLM([*text_pieces("ok"), last_piece()])) as served:
        for path in ("/v1/agent/tools", "/v1/agent/runs"):
            assert served.http.get(path, headers=HEADERS).status_code == 404
        assert not any("agent" in path for path in served.http.get("/openapi.json").json()["paths"])


def test_every_server_has_another_token_and_does_not_show_it():
    one, other = Settings(), Settings()
    assert one.agent_token != other.agent_token and len(one.agent_token) >= 32
    assert one.agent_token not in repr(one)
