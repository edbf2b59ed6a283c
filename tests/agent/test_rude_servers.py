"""MCP servers that answer badly, or go away: the call fails in a sentence, and the next one does not."""

import pytest

from kimi_cpu.agent.servers import Servers
from tests.agent.test_servers import PROGRAM, RUDE, over_http, stdio, use


@pytest.fixture(scope="module")
def servers():
    with (
        over_http(RUDE) as url,
        Servers({"mcpServers": {"local": stdio(program=RUDE), "web": {"url": url}}}, call_s=0.5) as servers,
    ):
        yield servers


def test_what_is_no_message_is_passed_over(servers, capfd):
    assert use(servers, "local__babble") == "babble answers"
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["local", "web"])
def test_questions_to_the_client_are_declined_and_the_answer_comes(servers, name):
    assert use(servers, f"{name}__ask") == "ask answers"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("local__broken", "the server local did not answer in 0.5 s"),
        ("web__broken", "the server web answered with what is no JSON"),
        ("local__odd", "the answer of the server local is no result: content: Input should be a valid list"),
        ("web__odd", "the answer of the server web is no result: content: Input should be a valid list"),
    ],
)
def test_answer_that_is_none_costs_its_call_alone(servers, name, said, capfd):
    with pytest.raises(RuntimeError, match=f"^{said}$"):
        use(servers, name)
    assert use(servers, f"{name.partition('__')[0]}__babble") == "babble answers"
    assert "Traceback" not in capfd.readouterr().err


def test_server_over_http_that_goes_away_is_found_again():
    with over_http(PROGRAM) as url, Servers({"mcpServers": {"web": {"url": url}}}, connect_s=5) as servers:
        with pytest.raises(RuntimeError, match="web ended before it answered; the next call connects again$"):
            use(servers, "web__die")
        with pytest.raises(RuntimeError, match="^the server web cannot be reached: "):
            use(servers, "web__add", a=1, b=1)
        with over_http(PROGRAM, int(url.split(":")[2].split("/")[0])):
            assert use(servers, "web__add", a=1, b=1) == "2"
