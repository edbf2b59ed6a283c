"""A model that follows a script: a token is a character, and each turn is what the test says."""

import json

from kimi_cpu.agent.room import SUMMARISE
from kimi_cpu.llm import ChatCompletion, Piece, Timings, Usage

SECTION = "<|tool_calls_section_begin|>"


class Turn:
    """A turn of the script: an answer, or calls (name, arguments)."""

    def __init__(self, content=None, calls=(), reasoning="thinking", finish_reason=None, stop_reason=None):
        self.content, self.calls, self.reasoning, self.stop_reason = content, calls, reasoning, stop_reason
        self.finish_reason = finish_reason or ("tool_calls" if calls else "stop")


def call(name, **arguments):
    """A turn of one call."""
    return Turn(calls=[(name, json.dumps(arguments))])


class FakeSession:
    """Remembers how often it was saved."""

    saves = 0

    def save(self, path):
        self.saves += 1
        path.write_bytes(b"computed")


class FakeLLM:
    """LLM as the agent's rooms use it. asked: (messages, options) of each turn so far."""

    model_hash = "fake"

    def __init__(self, *script, context=100_000):
        self.script, self.context, self.asked = list(script), context, []
        self.during = None  # called while a turn comes
        self.summary = None  # what a turn that is to summarise is

    def tokenize(self, text, special=True):
        return [-1] if special and text == SECTION else [ord(c) for c in text]

    def detokenize(self, ids):
        return "".join(map(chr, ids))

    def chat_ids(self, messages, tools=None):
        return self.tokenize(json.dumps(messages))

    def session(self):
        return FakeSession()

    def load_session(self, path):
        return FakeSession()

    def submit(self, messages, tools, session, *, resume=(), **options):
        self.asked.append((json.loads(json.dumps(messages)), options | {"resume": resume}))
        if messages[-1]["content"] == SUMMARISE:
            self.script.insert(0, self.summary)
        return FakeHandle(self, messages, self.script[0])

    def chat(self, messages, tools, session, **options):
        return self.submit(messages, tools, session, **options).result()


class FakeHandle:
    """Generation as the agent's rooms use it."""

    def __init__(self, llm, messages, turn):
        self._llm, self._messages, self._turn, self._cancelled = llm, messages, turn, False

    def cancel(self):
        self._cancelled = True

    def __iter__(self):
        if self._llm.during is not None:
            self._llm.during()
        yield Piece(reasoning_content="a", token_ids=(1,))
        if not self._cancelled:
            yield Piece(content=self._turn.content or "", token_ids=(2,))

    def result(self):
        if self._cancelled:
            return self._completion(None, (), "cancelled", (1,))
        turn = self._llm.script.pop(0)
        first = sum(len(message.get("tool_calls") or ()) for message in self._messages)
        calls = [
            {"id": f"functions.{name}:{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(turn.calls, first)
        ]
        return self._completion(turn, tuple(calls), turn.finish_reason, (1, 2))

    def _completion(self, turn, calls, reason, ids):
        prompt = len(json.dumps(self._messages))
        content, reasoning = (None, None) if turn is None else (turn.content, turn.reasoning)
        usage = Usage(prompt, 10, prompt - 1)
        stop = None if turn is None else turn.stop_reason
        return ChatCompletion(
            content, reasoning, calls, reason, usage, Timings(1.0, 2.0), token_ids=ids, stop_reason=stop
        )
