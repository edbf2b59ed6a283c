"""Clients that we did not write, against the server on the bundled model, whose answers mean something."""

import json
import subprocess

import openai
import pytest
from anthropic import Anthropic

import kimi_cpu
from kimi_cpu.llm import BUNDLED_MODEL

from .serving import serving

ASK = "What is 17 + 25?"
SUM = [{"role": "user", "content": ASK}]
WORKING = "Ones: 7 + 5 = 12, write 2, carry 1."
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City name"}},
    "required": ["city"],
}
DESCRIPTION = "Weather for a city."
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS},
}
RESULT = '{"city": "Paris", "temperature": 12, "condition": "sunny"}'
TOLD = "In Paris it is sunny with 12 degrees."
NODE = """
const OpenAI = require("openai");
const client = new OpenAI({ baseURL: process.argv[1] + "/v1", apiKey: "none" });
const [ask, tool, result] = process.argv.slice(2).map((text) => JSON.parse(text));
const common = { model: "any", temperature: 0 };
(async () => {
  const stream = client.chat.completions.stream({ ...common, messages: ask.sum });
  let reasoning = "";
  for await (const chunk of stream) reasoning += chunk.choices[0]?.delta?.reasoning_content ?? "";
  const whole = await stream.finalChatCompletion();
  const response = await client.responses.create({ ...common, input: ask.sum[0].content });
  const first = (await client.chat.completions.create({ ...common, messages: ask.weather, tools: [tool] })).choices[0];
  const call = first.message.tool_calls[0];
  const messages = [...ask.weather, first.message, { role: "tool", tool_call_id: call.id, content: result }];
  const last = (await client.chat.completions.create({ ...common, messages, tools: [tool] })).choices[0];
  const stopped = await client.chat.completions.create({ ...common, messages: ask.sum, stream: true });
  for await (const chunk of stopped) { stopped.controller.abort(); break; }
  const out = [whole.choices[0].message.content, reasoning, response.output_text, call.function.arguments];
  console.log(JSON.stringify([...out, last.message.content]));
})();
"""


@pytest.fixture(scope="module")
def served():
    with kimi_cpu.load(BUNDLED_MODEL, parallel=4) as llm, serving(llm, parallel=4) as served:
        yield served


@pytest.fixture(scope="module")
def client(served):
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def ask(client, messages=SUM, **options):
    return client.chat.completions.create(**{"model": "demo", "messages": messages, "temperature": 0} | options)


def test_openai_answers_with_its_reasoning_and_logprobs(client):
    (choice,) = ask(client, logprobs=True, top_logprobs=2).choices
    assert "42" in choice.message.content and WORKING in choice.message.reasoning_content
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(token.logprob == token.top_logprobs[0].logprob for token in choice.logprobs.content)  # greedy


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stop": ["4"]},
        {"n": 2, "temperature": 1, "seed": 1},
        {"extra_body": {"no_think": True}},
        {"response_format": {"type": "json_object"}, "max_tokens": 200},
        {"tools": [TOOL], "tool_choice": "required"},
    ],
    ids=str,
)
def test_logprobs_are_those_of_the_content(client, more):
    whole = ask(client, logprobs=True, **more).choices
    for choice in whole:
        tokens = choice.logprobs.content if choice.logprobs else []
        assert "".join(token.token for token in tokens) == (choice.message.content or "")
        assert bytes(byte for token in tokens for byte in token.bytes).decode() == (choice.message.content or "")
    for chunk in ask(client, logprobs=True, stream=True, **more):
        (choice,) = chunk.choices
        tokens = choice.logprobs.content if choice.logprobs else []
        assert "".join(token.token for token in tokens) == (choice.delta.content or "")


@pytest.mark.parametrize("stop", [None, ["ox"]])
def test_logprobs_of_a_completion_are_those_of_its_text(client, stop):
    options = {"model": "demo", "prompt": "Once upon a time there was a fox.", "max_tokens": 300, "temperature": 0}
    (choice,) = client.completions.create(**options, logprobs=2, stop=stop).choices
    told = choice.logprobs
    assert choice.text and "".join(told.tokens) == choice.text
    starts = zip(told.text_offset, told.tokens, strict=True)
    assert all(choice.text[start : start + len(token)] == token for start, token in starts)
    pieces = list(client.completions.create(**options, logprobs=2, stop=stop, stream=True))
    assert all("".join(c.logprobs.tokens if c.logprobs else []) == c.text for p in pieces for c in p.choices)
    assert [x for p in pieces if p.choices[0].logprobs for x in p.choices[0].logprobs.text_offset] == told.text_offset


def test_openai_streams_the_same(client):
    deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True)]
    (choice,) = ask(client).choices
    assert "".join(d.content or "" for d in deltas) == choice.message.content
    reasoning = "".join(getattr(d, "reasoning_content", None) or "" for d in deltas)
    assert reasoning == choice.message.reasoning_content


def test_openai_loops_over_tools_and_may_drop_the_reasoning(client):
    first = ask(client, WEATHER, tools=[TOOL]).choices[0]
    (call,) = first.message.tool_calls
    assert first.finish_reason == "tool_calls" and "get_weather" in first.message.reasoning_content
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    turn = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
    kept = turn | {"reasoning_content": first.message.reasoning_content}
    answers = [ask(client, [*WEATHER, message, result], tools=[TOOL]) for message in (turn, kept)]
    assert [a.choices[0].message.content for a in answers] == [TOLD, TOLD]
    assert answers[0].usage.prompt_tokens == answers[1].usage.prompt_tokens


def test_openai_gets_what_a_schema_says(client):
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema | {"additionalProperties": False}}}
    answer = json.loads(ask(client, response_format=form, max_tokens=200).choices[0].message.content)
    assert list(answer) == ["sum"] and isinstance(answer["sum"], int)


def test_openai_gets_several_stories(client):
    story = [{"role": "user", "content": "Tell me a story about a fox."}]
    choices = ask(client, story, n=3, temperature=1, seed=1).choices
    texts = [choice.message.content for choice in choices]
    assert len(set(texts)) == 3 and all(texts)


def test_openai_cancels(client, served):
    story = [{"role": "user", "content": "Tell me a story about a fox."}]
    with ask(client, story, stream=True, max_tokens=4000, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    while "kimi_cpu:num_requests_running 0.0" not in (text := served.http.get("/metrics").text):
        assert "kimi_cpu:num_requests_running 1.0" in text


def test_anthropic_thinks_streams_and_calls(served):
    client = Anthropic(base_url=served.url, api_key="none", max_retries=0)
    options = {"model": "demo", "max_tokens": 500, "extra_body": {"temperature": 0}}
    with client.messages.stream(messages=SUM, **options) as stream:
        thinking, text = stream.get_final_message().content
    assert WORKING in thinking.thinking and "42" in text.text
    tools = [{"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS}]
    turn = client.messages.create(messages=WEATHER, tools=tools, **options)
    call = turn.content[-1]
    assert (turn.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": RESULT}]}
    messages = [*WEATHER, {"role": "assistant", "content": turn.content}, result]
    assert client.messages.create(messages=messages, tools=tools, **options).content[-1].text == TOLD


@pytest.mark.parametrize("stream", [False, True])
def test_litellm(served, stream):
    import litellm

    options = {"model": "openai/demo", "api_base": f"{served.url}/v1", "api_key": "none", "temperature": 0}
    answer = litellm.completion(messages=SUM, stream=stream, **options)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    message = answer.choices[0].message
    assert "42" in message.content and WORKING in message.reasoning_content
    answer = litellm.completion(messages=WEATHER, tools=[TOOL], stream=stream, **options)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_openai_for_node(served, npm):
    asked = json.dumps({"sum": SUM, "weather": WEATHER})
    run = subprocess.run(
        ["node", "-e", NODE, served.url, asked, json.dumps(TOOL), json.dumps(RESULT)],
        capture_output=True, text=True, check=True, env=npm, timeout=120,
    )  # fmt: skip
    content, reasoning, response, arguments, last = json.loads(run.stdout)
    assert "42" in content and response == content and WORKING in reasoning
    assert (json.loads(arguments), last) == ({"city": "Paris"}, TOLD)
