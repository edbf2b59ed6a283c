"""POST /v1/completions: raw text on, without the chat template."""

import time
from collections.abc import Sequence

from ..config.field import Door, is_ids
from ..config.fields import fields_at
from ..config.parameters import completion_options
from ..llm import Completion, Piece
from ..llm.openai import completion_logprobs
from .answers import Call
from .fields import body_at, described_as
from .reply import timings, usage_body
from .sse import DONE, event


class CompletionBody(body_at(Door.COMPLETIONS)):
    """A request to go on with a text, or with ids; several prompts in a list are answered in one go."""

    prompt: described_as(fields_at(Door.COMPLETIONS)["prompt"])  # to be given

    @property
    def prompts(self) -> list:
        """One prompt an item."""
        return [self.prompt] if isinstance(self.prompt, str) or is_ids(self.prompt) else self.prompt

    def calls(self) -> list[Call]:
        """The request as the model takes it."""
        options = completion_options(self.given())
        return [Call(prompt, options, self.n) for prompt in self.prompts]


class CompletionWriter:
    """Text completions, whole or as chunks."""

    def __init__(self, answer_id: str, model: str, fingerprint: str, body: CompletionBody, llm):
        self._head = {
            "id": answer_id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        self._body, self._token_bytes = body, llm.tokenizer.token_bytes
        prompts = body.prompts
        texts = [p if isinstance(p, str) else llm.detokenize(p) for p in prompts] if body.echo else [""] * len(prompts)
        self._echoes = [text for text in texts for _ in range(body.n)]
        self._offsets: dict[int, int] = {}
        self._usages: dict[int, object] = {}

    def begin(self) -> bytes:
        return b"".join(self._chunk(i, echo) for i, echo in enumerate(self._echoes) if echo)

    def push(self, index: int, piece: Piece) -> bytes:
        if piece.finish_reason is not None:
            self._usages[index] = piece.usage
            return self._chunk(index, piece.content, piece.logprobs, piece)
        return self._chunk(index, piece.content, piece.logprobs) if piece.content else b""

    def end(self) -> bytes:
        usage = b""
        if self._body.include_usage:
            total = usage_body([self._usages[i] for i in range(len(self._echoes))], self._body.n)
            usage = event(self._head | {"choices": [], "usage": total})
        return usage + DONE

    def failed(self, body: dict) -> bytes:
        return event(body)

    def whole(self, answers: list[Completion]) -> dict:
        choices = [
            {
                "index": i,
                "text": self._echoes[i] + answer.text,
                "logprobs": self._logprobs_of(i, answer.logprobs),
                "finish_reason": answer.finish_reason,
            }
            for i, answer in enumerate(answers)
        ]
        return self._head | {
            "choices": choices,
            "usage": usage_body([answer.usage for answer in answers], self._body.n),
            "timings": timings(answers[0].usage, answers[0].timings),
        }

    def _chunk(self, index: int, text: str, logprobs: Sequence = (), last: Piece | None = None) -> bytes:
        choice = {
            "index": index,
            "text": text,
            "logprobs": self._logprobs_of(index, logprobs),
            "finish_reason": None if last is None else last.finish_reason,
        }
        chunk = self._head | {"choices": [choice]}
        if self._body.include_usage:
            chunk["usage"] = None
        if last is not None:
            chunk["timings"] = timings(last.usage, last.timings)
        return event(chunk)

    def _logprobs_of(self, index: int, logprobs: Sequence) -> dict | None:
        shown = completion_logprobs(logprobs, self._token_bytes, self._offsets.get(index, 0))
        if shown is not None:
            self._offsets[index] = shown["text_offset"][-1] + len(shown["tokens"][-1])
        return shown
