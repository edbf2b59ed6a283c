"""kimi-cpu as a model of simonw's llm."""

import asyncio
import json

import llm
import pytest
from click.testing import CliRunner
from llm.cli import cli
from llm.plugins import pm

from kimi_cpu import llm_plugin

from .server.fake import FakeGeneration, call_pieces, last_piece


@pytest.fixture(autouse=True)
def plugin(tiny_file, tmp_path, monkeypatch):
    """The plugin as its entry point brings it, and an llm without a past."""
    monkeypatch.setenv("KIMI_CPU_MODEL", str(tiny_file))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")
    installed = pm.is_registered(llm_plugin)  # where the package is, its entry point has done it
    if not installed:
        pm.register(llm_plugin, "kimi-cpu")
    yield
    if not installed:
        pm.unregister(name="kimi-cpu")


def test_llm_command_asks_and_goes_on():
    runner = CliRunner()
    options = ["-o", "max_tokens", "8", "-o", "seed", "1"]
    first = runner.invoke(cli, ["-m", "kimi-cpu", "Hello", "-u", *options])
    assert first.exit_code == 0 and "8 output" in first.output
    again = runner.invoke(cli, ["-c", "More", "-u", *options])
    assert again.exit_code == 0 and "8 output" in again.output
    prompts = [int(r.output.split("Token usage: ")[1].split(" input")[0]) for r in (first, again)]
    assert prompts[1] > prompts[0] + 10


def test_stream_is_what_the_model_answers(tiny_file):
    import kimi_cpu

    response = llm.get_model("kimi-cpu").prompt("Hello", max_tokens=10, seed=1, system="Be brief.")
    text = "".join(response)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    with kimi_cpu.load(tiny_file) as model:
        assert text == model.chat(messages, max_tokens=10, seed=1).content
    assert response.output_tokens == 10


def test_async_model_streams_too():
    async def ask():
        return [chunk async for chunk in llm.get_async_model("kimi-cpu").prompt("Hello", max_tokens=10, seed=1)]

    assert "".join(asyncio.run(ask())) == llm.get_model("kimi-cpu").prompt("Hello", max_tokens=10, seed=1).text()


def test_schema_binds_the_answer():
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    text = llm.get_model("kimi-cpu").prompt("Hello", schema=schema, max_tokens=200, seed=1).text()
    assert json.loads(text) == {"a": 1}


def test_results_of_tools_and_reasoning_go_back_in_openais_form():
    from llm.parts import Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

    call = ToolCallPart(name="add", arguments={"a": 1}, tool_call_id="functions.add:0")
    said = Message(role="assistant", parts=[ReasoningPart(text="Hm."), TextPart(text="So"), call])
    results = [ToolResultPart(name="add", output="2", tool_call_id="functions.add:0")]
    (turn,) = llm_plugin._messages(said)
    assert turn["reasoning_content"] == "Hm." and turn["content"] == "So"
    assert turn["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert list(llm_plugin._messages(Message(role="tool", parts=results))) == [
        {"role": "tool", "tool_call_id": "functions.add:0", "content": "2"}
    ]


def test_wrong_option_is_a_sentence():
    done = CliRunner().invoke(cli, ["-m", "kimi-cpu", "Hello", "-o", "top_p", "7"])
    assert done.exit_code == 1 and "top_p is 7.0" in done.output and "Traceback" not in done.output


class Answer:
    """What the plugin tells llm of an answer."""

    def __init__(self):
        self.calls, self.usage = [], None

    def add_tool_call(self, call):
        self.calls.append(call)

    def set_usage(self, **usage):
        self.usage = usage


def finished(*arguments: str) -> Answer:
    """An answer whose calls have these arguments."""
    pieces = [piece for i, text in enumerate(arguments) for piece in call_pieces(i, "add", text)]
    answer = Answer()
    llm_plugin._finish(FakeGeneration([], pieces=[*pieces, last_piece("length")]), answer)
    return answer


def test_whole_calls_are_handed_over():
    answer = finished('{"a": 1}', "{}")
    assert [call.arguments for call in answer.calls] == [{"a": 1}, {}]
    assert answer.usage["output"] == 5


@pytest.mark.parametrize("arguments", ["", '{"a": 1', '{"a'])
def test_a_call_that_is_cut_off_by_max_tokens_is_a_sentence_and_not_made(arguments):
    with pytest.raises(llm.ModelError, match="'add' was cut off by max_tokens"):
        finished(arguments)
