"""Schemas that cannot be, over HTTP: refused by place on every route, and nobody waits for them."""

import json
import threading
from contextlib import contextmanager, suppress

import httpx
import pytest

import kimi_cpu

from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving

HELLO = [{"role": "user", "content": "Hello"}]
CYCLE = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}
HOSTILE = [
    {"$ref": "#"},
    CYCLE,
    {"type": "object", "properties": {"a": CYCLE | {"$defs": {"A": {"$ref": "#/properties/a"}}}}},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    {"type": None},
    False,
    {"type": "string", "pattern": "((((a{100}){100}){100}){100}){100}"},
    {"type": "string", "pattern": r"[^\x00-\U0010ffff]"},
    {"type": "object", "required": [f"n{i}" for i in range(30_000)]},
    {"type": "string", "minLength": 1_000_000_000},
    {"const": "a" * 1_000_000},
    {"anyOf": [{"type": "object", "properties": {f"a{i}": {}}} for i in range(2_000)]},
]


@pytest.fixture(scope="module")
def served(tiny_file):
    with kimi_cpu.load(tiny_file, context=4096, parallel=4) as llm, serving(llm, parallel=4) as served:
        yield served


def chat(schema):
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    return "/v1/chat/completions", {"messages": HELLO, "response_format": form, "no_think": True}


def strict_tool(schema):
    function = {"name": "act", "parameters": schema, "strict": True}
    return "/v1/chat/completions", {"messages": HELLO, "tools": [{"type": "function", "function": function}]}


def responses(schema):
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    return "/v1/responses", {"input": "Hello", "text": form}


def messages(schema):
    form = {"format": {"type": "json_schema", "schema": schema}}
    return "/v1/messages", {"messages": HELLO, "max_tokens": 5, "output_config": form}


@pytest.mark.parametrize("schema", HOSTILE, ids=range(len(HOSTILE)))
def test_a_schema_that_cannot_be_is_400_on_every_route_and_the_server_goes_on(served, schema):
    for route in (chat, strict_tool, responses, messages):
        for stream in (False, True):
            path, body = route(schema)
            answer = served.http.post(path, json=body | {"stream": stream})
            assert answer.status_code == 400, answer.text
            message = answer.json()["error"]["message"]
            assert "cannot be enforced: $" in message or "maximum context length" in message  # a tool is in the prompt
    assert served.http.get("/health").status_code == 200


def test_a_tool_that_is_not_strict_is_served_with_a_warning(served):
    tool = {"type": "function", "function": {"name": "act", "parameters": {"type": None}}}
    body = {"messages": HELLO, "tools": [tool], "tool_choice": "required", "max_tokens": 300}
    answer = served.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert any("$.type" in warning for warning in answer.json()["warnings"])


@pytest.mark.parametrize("stop", [["x"] * 65, ["x" * 257], [""] * 2, ["ab"] * 50_000])
def test_too_many_or_too_long_stop_texts_are_400(served, stop):
    for path, field in (("/v1/chat/completions", "stop"), ("/v1/messages", "stop_sequences")):
        answer = served.http.post(path, json={"messages": HELLO, "max_tokens": 5, field: stop})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(field)
    completion = served.http.post("/v1/completions", json={"prompt": "a", "max_tokens": 5, "stop": stop})
    assert completion.status_code == 400


@pytest.mark.parametrize("name", ["messages", "tools", "tokenizer", "template", "add_generation_prompt"])
def test_a_variable_of_the_renderers_own_is_400_by_name(served, name):
    body = {"messages": HELLO, "max_tokens": 5, "chat_template_kwargs": {name: []}}
    answer = served.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"chat_template_kwargs.{name}"


def test_arguments_of_a_past_call_may_be_any_text(served):
    deep = "[" * 5_000 + "]" * 5_000
    for arguments in (deep, '{"a":' * 5_000, "no JSON"):
        call = {"id": "functions.act:0", "type": "function", "function": {"name": "act", "arguments": arguments}}
        turns = [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "functions.act:0", "content": "x"},
        ]
        answer = served.http.post("/v1/chat/completions", json={"messages": [*HELLO, *turns], "max_tokens": 1})
        assert answer.status_code in (200, 400), answer.text  # 400: beyond the context


def test_schemas_of_a_request_that_take_long_together_are_400_on_every_route(served):
    texts = {"allOf": [{"anyOf": [{"minLength": 3 * i + k} for k in range(3)]} for i in range(6)]}  # 729 ways
    schemas = {f"f{i}": {"type": "object", "properties": {f"p{i}": texts}} for i in range(5)}
    functions = [{"name": name, "parameters": schema} for name, schema in schemas.items()]
    bodies = {
        "/v1/chat/completions": {"tools": [{"type": "function", "function": function} for function in functions]},
        "/v1/responses": {"input": "Hello", "tools": [{"type": "function"} | function for function in functions]},
        "/v1/messages": {"tools": [{"name": name, "input_schema": schema} for name, schema in schemas.items()]},
    }
    for path, body in bodies.items():
        given = body if "input" in body else body | {"messages": HELLO, "max_tokens": 5}
        answer = served.http.post(path, json=given)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("tools: the schemas of the request have more than 3,000")
        given["tools"] = given["tools"][:4]
        assert served.http.post(path, json=given).status_code == 200


class SlowLLM(FakeLLM):
    """Takes until it is told to begin an answer with a form."""

    def __init__(self):
        super().__init__([*text_pieces("Hello"), last_piece()])
        self.go_on, self.num_begun = threading.Event(), 0

    def samples(self, prompt, n=1, **options):
        if "response_format" in options:
            self.num_begun += 1
            assert self.go_on.wait(20)
        return super().samples(prompt, n, **options)


def test_schemas_that_take_long_hold_up_no_plain_chat_and_are_not_compiled_for_clients_that_left():
    slow = SlowLLM()
    path, formed = chat({"type": "object"})

    def impatient():
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}{path}", json=formed, timeout=1)

    with serving(slow, parallel=2, max_waiting=20) as server:
        threads = [threading.Thread(target=impatient) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            plain = server.http.post(path, json={"messages": HELLO}, timeout=5)
            assert plain.json()["choices"][0]["message"]["content"] == "Hello"
            thread.join()
        slow.go_on.set()
        assert server.http.post(path, json=formed, timeout=5).status_code == 200
    assert slow.num_begun <= 3  # the two that were being compiled, and the last one


class HeldLLM(FakeLLM):
    """Begins no answer to what has a word in it until it is told to."""

    def __init__(self, word):
        super().__init__([*text_pieces("Hello"), last_piece()])
        self._word = word
        self.go_on, self.held = threading.Event(), threading.Semaphore(0)

    def samples(self, prompt, n=1, **options):
        if self._word in json.dumps([prompt, options]):
            self.held.release()
            assert self.go_on.wait(60)
        return super().samples(prompt, n, **options)


@contextmanager
def held(word, body):
    """A server with three requests of a body, of which those that can be begun never come to an end."""
    llm = HeldLLM(word)
    with serving(llm, parallel=8, max_waiting=20) as server:
        try:
            yield server, lambda: _hold(server, llm, body)
        finally:
            llm.go_on.set()


def _hold(server, llm, body):
    def ask():
        with suppress(httpx.HTTPError):
            httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)

    for _ in range(3):
        threading.Thread(target=ask, daemon=True).start()
    for _ in range(2):
        assert llm.held.acquire(timeout=30)


def ask_with_tools(server, num_tools, name="act", content="Hello"):
    tools = [
        {"type": "function", "function": {"name": f"{name}{i}", "description": "d" * 500, "parameters": {}}}
        for i in range(num_tools)
    ]
    body = {"messages": [{"role": "user", "content": content}], "tools": tools}
    answer = server.http.post("/v1/chat/completions", json=body, timeout=20)
    assert answer.status_code == 200


def test_an_agents_request_does_not_wait_for_long_texts():
    with held("word", {"messages": [{"role": "user", "content": "word " * 300_000}]}) as (server, hold):
        hold()
        ask_with_tools(server, 3)
        ask_with_tools(server, 200)
        ask_with_tools(server, 3, content="long " * 100_000)


def test_a_request_with_known_tools_does_not_wait_for_schemas():
    tool = {"type": "function", "function": {"name": "slow", "parameters": {}}}
    with held("slow", {"messages": HELLO, "tools": [tool]}) as (server, hold):
        ask_with_tools(server, 3)
        hold()
        ask_with_tools(server, 3)


class HeldTokenizerLLM(FakeLLM):
    """Tokenises nothing until it is told to."""

    def __init__(self):
        super().__init__([*text_pieces("Hello"), last_piece()])
        self.go_on, self.held = threading.Event(), threading.Semaphore(0)

    def tokenize(self, text, special=True):
        self.held.release()
        assert self.go_on.wait(60)
        return []


def _tokenize(server, body):
    with suppress(httpx.HTTPError):
        httpx.post(f"{server.url}/tokenize", json=body, timeout=60)


def test_a_body_of_an_agent_is_not_read_behind_long_texts():
    llm, long = HeldTokenizerLLM(), {"content": "word " * 300_000}
    with serving(llm, parallel=8) as server:
        try:
            for _ in range(3):
                threading.Thread(target=_tokenize, args=[server, long]).start()
            for _ in range(2):
                assert llm.held.acquire(timeout=30)
            ask_with_tools(server, 200)
        finally:
            llm.go_on.set()
