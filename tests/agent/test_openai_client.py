"""The loop of OpenAI's client through the server and that of an agent: the same prompts and turns, token by token."""

import json

import openai
import pytest

import kimi_cpu
from kimi_cpu.agent import Agent
from tests.server.serving import serving

STEPS = 10
TASK = "Note some days."
FORCED = {"tool_choice": {"type": "function", "function": {"name": "note"}}, "parallel_tool_calls": False}
SAMPLING = {"max_tokens": 60, "temperature": 0}
OURS = {"no_think": True}


class Asked:
    """What a model was asked: tools, and the ids of each prompt and its answer."""

    def __init__(self, llm, monkeypatch):
        self.tools, self._handles, submit, samples = None, [], llm.submit, llm.samples

        def spy(messages, tools, session, **options):
            self.tools = tools
            self._handles.append(submit(messages, tools, session, **options))
            return self._handles[-1]

        def spy_samples(*args, **options):
            handles = samples(*args, **options)
            self._handles += handles
            return handles

        monkeypatch.setattr(llm, "submit", spy)
        monkeypatch.setattr(llm, "samples", spy_samples)

    def ids(self, count):
        """Of the first turns."""
        return [(list(h._request.prompt_ids), h.result().token_ids) for h in self._handles[:count]]


class Notes:
    """A tool whose results are all new."""

    made = 0

    def note(self, days: int) -> str:
        """Write a note."""
        self.made += 1
        return f"note {self.made} of {days}"


@pytest.fixture
def llm(tiny_file):
    """In f32: the agent's session keeps how each token was computed, and messages that are sent anew do not, which
    rounds otherwise (docs/determinism.md)."""
    with kimi_cpu.load(tiny_file, context=4096, parallel=1, compute="f32", kv="f32") as llm:
        yield llm


def test_client_and_agent_have_the_same_prompts_and_turns(llm, monkeypatch):
    by_agent = Asked(llm, monkeypatch)
    outcome = Agent(llm, [Notes().note], max_steps=STEPS, **FORCED, **SAMPLING, **OURS).run(TASK)
    monkeypatch.undo()
    by_client, notes = Asked(llm, monkeypatch), Notes()
    messages = [{"role": "user", "content": TASK}]
    with serving(llm, parallel=1) as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
        for _ in range(STEPS):
            options = {"messages": messages, "tools": by_agent.tools, "extra_body": OURS}
            turn = client.chat.completions.create(model="any", **options, **FORCED, **SAMPLING).choices[0].message
            (call,) = turn.tool_calls
            content = notes.note(**json.loads(call.function.arguments))
            messages += [turn, {"role": "tool", "tool_call_id": call.id, "content": content}]
    assert by_client.ids(STEPS) == by_agent.ids(STEPS)
    assert outcome.calls == STEPS and [m["content"] for m in messages[2::2]] == [
        m["content"] for m in outcome.messages[2 : 2 * STEPS + 1 : 2]
    ]
