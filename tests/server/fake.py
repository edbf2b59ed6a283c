"""An LLM that says what a script says: the narrow seam that the server sees, and nothing behind it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from kimi_cpu.engine import TokenLogprob
from kimi_cpu.errors import EngineDeadError, RequestError
from kimi_cpu.llm import ChatCompletion, Completion, EngineState, ExpertsState, Piece, Timings, Usage
from kimi_cpu.llm.results import chat_completion, completion

PROMPT = {"prompt_tokens": 12, "prompt_cached": 2}  # what every piece says of it


def text_pieces(content: str = "", reasoning: str = "", size: int = 4) -> list[Piece]:
    """Pieces of thinking and answer, one token each."""
    thoughts = [reasoning[i : i + size] for i in range(0, len(reasoning), size)]
    texts = [content[i : i + size] for i in range(0, len(content), size)]
    out = [Piece(reasoning_content=text, token_ids=(7,), **PROMPT) for text in thoughts]
    return out + [Piece(content=text, token_ids=(8,), **PROMPT) for text in texts]


def call_pieces(index: int, name: str, arguments: str, number: int | None = None) -> list[Piece]:
    """Pieces of a tool call: its head, then its arguments in two."""
    call_id = f"functions.{name}:{index if number is None else number}"
    head = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    half = len(arguments) // 2
    parts = [arguments[:half], arguments[half:]]
    rest = [Piece(tool_calls=({"index": index, "function": {"arguments": part}},), token_ids=(9,)) for part in parts]
    return [Piece(tool_calls=(head,), token_ids=(9,)), *rest]


def last_piece(finish_reason: str = "stop", prompt: int = 12, completion: int = 5, cached: int = 2, thought: int = 1):
    """The piece that ends an answer."""
    usage = Usage(prompt, completion, cached, thought)
    return Piece(finish_reason=finish_reason, usage=usage, timings=Timings(prefill_s=0.5, decode_s=2.0))


def logprob(token_id: int, value: float = -0.5) -> TokenLogprob:
    """A log-probability with two best tokens."""
    return TokenLogprob(token_id, value, ((token_id, value), (token_id + 1, value - 1)))


@dataclass
class FakeGeneration:
    """Plays a script: pieces, exceptions to raise, and conditions (functions of the generation) to wait for."""

    script: list
    is_chat: bool = True
    is_cancelled: bool = False
    must_answer_now: bool = False
    is_over: bool = False
    pieces: list[Piece] = field(default_factory=list)

    def cancel(self) -> None:
        self.is_cancelled = self.is_over = True

    def answer_now(self) -> None:
        self.must_answer_now = True

    def result(self) -> ChatCompletion | Completion:
        return (chat_completion if self.is_chat else completion)(self.pieces)

    async def __aiter__(self):
        try:
            async for piece in self._play():
                self.pieces.append(piece)
                yield piece
        finally:
            self.is_over = True

    async def _play(self):
        for step in self.script:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                while not step(self):
                    await asyncio.sleep(0.005)
                continue
            yield step


class FakeLLM:
    """scripts: one for each answer, in the order in which they are asked for; the last one is used again."""

    def __init__(self, *scripts: list, refuse: Exception | None = None):
        self.path, self.context, self.model_hash = Path("fake-model.gguf"), 4096, "ab" * 32
        self.config = SimpleNamespace(vocab_size=512, max_position_embeddings=4096)
        self.tokenizer = SimpleNamespace(token_bytes=lambda token_id: bytes([token_id]))
        self.is_closed = self.is_dead = False
        self.play(*scripts, refuse=refuse)

    def play(self, *scripts: list, refuse: Exception | None = None) -> None:
        """New scripts, and nothing was asked yet. refuse: what `samples` raises instead."""
        self._scripts, self._refuse = list(scripts), refuse
        self.calls: list[tuple] = []  # (prompt, n, options)
        self.generations: list[FakeGeneration] = []

    def samples(self, prompt, n=1, **options) -> list[FakeGeneration]:
        if self._refuse is not None:
            raise self._refuse
        self.calls.append((prompt, n, options))
        is_chat = isinstance(prompt, list) and isinstance(prompt[0], dict)
        made = [FakeGeneration(self._next(), is_chat) for _ in range(n)]
        self.generations += made
        return made

    def chat_ids(self, messages, tools=None) -> list[int]:
        return list(range(len(str(messages)) + len(str(tools))))

    def tokenize(self, text, special=True) -> list[int]:
        return list(text.encode())

    def detokenize(self, ids) -> str:
        if any(not 0 <= i < 256 for i in ids):
            raise RequestError("Token id is outside the vocabulary.")
        return bytes(ids).decode("utf-8", errors="replace")

    def state(self) -> EngineState:
        if self.is_dead:
            raise EngineDeadError("The engine has stopped: OOM")
        num_open = sum(not g.is_over for g in self.generations)
        return EngineState(num_running=num_open, num_waiting=0, num_pages=8, num_free_pages=8 - num_open)

    def engines(self) -> dict[str, EngineState]:
        return {"": self.state()}

    def experts(self) -> dict[str, ExpertsState]:
        return {"": ExpertsState(6, 8, 100, 75, 2**20, None)}

    def close(self) -> None:
        self.is_closed = True

    def _next(self) -> list:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
