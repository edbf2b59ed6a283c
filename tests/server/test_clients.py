"""Clients that bring others along: litellm, and openai for Node, which is skipped where there is no npm."""

import subprocess

import pytest

from .fake import call_pieces, last_piece

HELLO = [{"role": "user", "content": "Hello"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
NODE = """
const OpenAI = require("openai");
const client = new OpenAI({ baseURL: process.argv[1] + "/v1", apiKey: "none" });
(async () => {
  const stream = client.chat.completions.stream({ model: "any", messages: [{ role: "user", content: "Hello" }] });
  let reasoning = "";
  for await (const chunk of stream) reasoning += chunk.choices[0]?.delta?.reasoning_content ?? "";
  const whole = await stream.finalChatCompletion();
  const response = await client.responses.create({ model: "any", input: "Hello" });
  console.log(JSON.stringify([whole.choices[0].message.content, reasoning, response.output_text]));
})();
"""


@pytest.mark.parametrize("stream", [False, True])
def test_litellm(_fake_server, fake, stream):
    import litellm

    options = {"model": "openai/any", "api_base": f"{_fake_server[1].url}/v1", "api_key": "none", "messages": HELLO}
    answer = litellm.completion(**options, stream=stream)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    message = answer.choices[0].message
    assert (message.content, message.reasoning_content) == ("Hello world", "Let me think")
    fake.play([*call_pieces(0, "get_weather", '{"city":"Rome"}'), last_piece("tool_calls")])
    answer = litellm.completion(**options, tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city":"Rome"}'


def test_openai_for_node(_fake_server, fake, npm):
    run = subprocess.run(["node", "-e", NODE, _fake_server[1].url], capture_output=True, text=True, check=True, env=npm)
    assert run.stdout.strip() == '["Hello world","Let me think","Hello world"]'
