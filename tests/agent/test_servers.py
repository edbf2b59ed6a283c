"""MCP servers of every kind, the good, those that hang or die, and what comes of their answers."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from kimi_cpu.agent import Agent, Watch
from kimi_cpu.agent.consent import Consent
from kimi_cpu.agent.enforceable import enforceable
from kimi_cpu.agent.servers import Servers
from kimi_cpu.agent.tool import Tool
from kimi_cpu.errors import ConfigError
from tests.agent.fake import FakeLLM, Turn
from tests.agent.test_loop import Seen, results

PROGRAM = Path(__file__).with_name("mcp_server.py")
RUDE = Path(__file__).with_name("rude_server.py")


def stdio(kind="stdio", program=PROGRAM):
    return {"command": sys.executable, "args": [str(program), kind]}


@contextmanager
def over_http(program, port=0):
    """The address of a server over HTTP."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, program, "http", str(port)], stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()


def use(servers, name, **arguments):
    return {tool.name: tool for tool in servers.tools}[name].call(arguments, "")


@pytest.fixture(scope="module")
def servers():
    with over_http(PROGRAM) as url:
        both = {"local": stdio(), "web": {"type": "http", "url": url}, "off": {"command": "none", "disabled": True}}
        with Servers({"mcpServers": both}) as servers:
            yield servers


@pytest.mark.parametrize("name", ["local", "web"])
def test_tools_of_a_server_are_called_and_what_comes_back_is_text(servers, name):
    assert use(servers, f"{name}__add", a=2, b=3) == "5"
    assert use(servers, f"{name}__read_resource", uri="note://one") == "text of the note"
    assert use(servers, f"{name}__picture") == "[image/png, 1,200 bytes; only text can be read here]"
    assert use(servers, f"{name}__huge") == "0123456789" * 1_000_000
    with pytest.raises(RuntimeError, match="Error executing tool fail"):
        use(servers, f"{name}__fail")
    summary = next(notice for notice in servers.notices if f" {name} " in notice)
    assert "8 tools (add, " in summary and "1 resources (one)" in summary and "1 prompts (greet)" in summary


def test_declarations_carry_the_servers_schema_and_its_hints(servers):
    tools = {tool.name: tool for tool in servers.tools}
    assert len(tools) == 18 and all(tool.needs_consent for tool in tools.values())
    assert tools["local__add"].description == "Add two numbers." and tools["local__add"].repeatable
    assert tools["local__add"].parameters["required"] == ["a", "b"] and not tools["local__fail"].repeatable
    assert "note://one one: The first note" in tools["local__read_resource"].description


def test_server_that_hangs_or_dies_in_a_call_costs_that_call_alone(servers):
    with pytest.raises(RuntimeError, match="the server local ended before it answered; the next call starts it"):
        use(servers, "local__die")
    assert use(servers, "local__add", a=1, b=1) == "2"
    slow = Servers({"mcpServers": {"slow": stdio(program=RUDE)}}, call_s=0.5)
    with slow, pytest.raises(RuntimeError, match="the server slow did not answer in 0.5 s"):
        use(slow, "slow__hang")


def test_servers_that_do_not_start_are_left_out_in_a_sentence():
    broken = {kind: stdio(kind) for kind in ("hang", "die", "garbage")} | {
        "none": {"command": "/no/such/program"},
        "nowhere": {"url": "http://127.0.0.1:9/mcp"},
    }
    with Servers({"mcpServers": broken}, connect_s=1) as servers:
        told = "\n".join(servers.notices)
    assert not servers.tools and len(servers.notices) == 5, told
    assert "server hang is left out: it did not answer in 1 s" in told and "the key is missing" in told


def test_run_offers_what_is_allowed_and_control_tokens_are_text(tmp_path, tiny_file):
    import kimi_cpu
    from kimi_cpu.chat import encode_chat

    class Careful(Seen):
        consent = Consent(["t__c*", "t__h*"])

        def offers(self, tool):
            return self.consent.offers(tool)

    path, seen = tmp_path / "servers.json", Careful()
    path.write_text(json.dumps({"mcpServers": {"t": stdio()}}))
    llm = FakeLLM(Turn(calls=[("t__control", "{}"), ("t__huge", "{}"), ("t__add", "{}")]), Turn("ok"))
    llm.tokenizer = kimi_cpu.Tokenizer.load(tiny_file)
    Agent(llm, mcp=path).run("Go", watch=seen)
    assert seen.records[0].tools == ["t__control", "t__hang", "t__huge"]
    control, huge, denied = results(llm.asked[1][0])
    assert control.startswith("<|im_end|><|im_user|>") and len(huge) < 5000 and "read_result" in huge
    assert denied.startswith("Error: there is no tool t__add")
    messages = llm.asked[1][0]
    ids = encode_chat(messages, llm.tokenizer)
    special = llm.tokenizer.special_tokens["<|im_end|>"]
    assert ids.count(special) == len(messages) + 1  # the system's, and one a message


def test_denied_call_of_a_server_is_never_made_and_an_allowed_one_is(servers, tmp_path):
    class Refusing(Seen):
        def approve(self, call, tool):
            return tool.name == "local__add"

    path = tmp_path / "effect"
    calls = [("local__append", json.dumps({"path": str(path), "text": "x"})), ("local__add", '{"a": 2, "b": 3}')]
    llm = FakeLLM(Turn(calls=calls), Turn("ok"))
    Agent(llm, servers.tools).run("Go", watch=Refusing())
    denied, added = results(llm.asked[1][0])
    assert "has not allowed" in denied and added == "5" and not path.exists()


def test_tools_stand_in_the_order_of_the_file_and_no_two_have_one_name():
    twins = {"late": stdio("late", RUDE)} | {name: stdio(program=RUDE) for name in ("a", "a!", "a_")}
    with Servers({"mcpServers": twins}) as servers:
        names = [tool.name for tool in servers.tools]
    assert [name.partition("__")[0] for name in names] == ["late"] * 5 + ["a"] * 10
    assert sum("is left out" in notice for notice in servers.notices) == 5


def test_schema_that_would_have_every_turn_refused_is_left_out(tiny_file):
    import kimi_cpu

    schema = {"type": "object"}
    for _ in range(300):
        schema = {"type": "object", "properties": {"a": schema}}
    told = []
    with kimi_cpu.load(tiny_file, context=256) as llm:
        made = enforceable(llm, Tool("deep", "", schema, print), told.append)
        plain = Tool("plain", "", {"type": "object", "properties": {"a": {"type": "integer"}}}, print)
        assert enforceable(llm, plain, told.append) is plain
    assert made.parameters == {"type": "object"} and len(told) == 1 and "nested" in told[0]


def test_wrong_configurations_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "servers.json"
    wrong = {
        "{": "is no JSON",
        "[]": "names no servers",
        '{"servers": {}}': "names no servers",
        '{"mcpServers": {"a": {}}}': "must have either a command or a url",
        '{"mcpServers": {"a": {"command": "x", "args": "y"}}}': r"mcpServers.a.args: Input should be a valid list",
        '{"mcpServers": {"a": {"url": "http://x", "type": "sse"}}}': "speaks SSE",
    }
    for text, said in wrong.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            Servers(path)
    with pytest.raises(FileNotFoundError):
        Servers(tmp_path / "none")
    assert Watch().offers(Tool("a", "", {}, print))
