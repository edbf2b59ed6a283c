"""POST /v1/chat/completions and /v1/completions: OpenAI's, with Moonshot's, vLLM's and llama.cpp's additions."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from ..config.field import Door, is_ids
from ..config.fields import fields_at
from ..config.parameters import chat_keywords, completion_keywords
from ..llm import ChatCompletion, Completion, Piece, TextModel, Timings, Usage
from ..llm.openai import (
    TokenBytes,
    TokenLogprob,
    chat_logprobs,
    completion_logprobs,
    deltas,
    ending,
    heavy_object,
    trajectories_object,
    usage_object,
)
from ..llm.results import total_usage
from .answers import Question
from .body import TEXT, TEXT_OR_PARTS, Items, body_at, described
from .events import DONE, event

FUNCTION = {
    "type": "object",
    "properties": {"name": TEXT, "description": TEXT, "parameters": {"type": "object"}},
    "required": ["name"],
}
ChatMessage = Annotated[
    dict[str, Any],
    described(
        {"role": {"enum": ["system", "developer", "user", "assistant", "tool", "function"]}},
        content={"anyOf": [*TEXT_OR_PARTS["anyOf"], {"type": "null"}]},
        reasoning_content=TEXT,
        tool_calls={"type": "array", "items": {"type": "object"}},
        tool_call_id=TEXT,
        partial={"type": "boolean"},
    ),
]
ChatTool = Annotated[dict[str, Any], described({"type": {"const": "function"}, "function": FUNCTION})]


class ChatBody(body_at(Door.CHAT)):
    """A chat request. Messages, tools, tool_choice and response_format are checked where they are used."""

    messages: Items[ChatMessage] = Field(min_length=1)
    tools: Items[ChatTool] | None = None

    def question(self) -> Question:
        """The request for the model."""
        return Question(self.messages, chat_keywords(self.given()), self.n)


class ChatWriter:
    """Writes chat completions, whole or as chunks."""

    def __init__(self, answer_id: str, model: str, fingerprint: str, body: ChatBody, token_bytes: TokenBytes):
        self._head = {"id": answer_id, "created": int(time.time()), "model": model, "system_fingerprint": fingerprint}
        self._body, self._token_bytes = body, token_bytes
        self._usages: dict[int, Usage] = {}
        self._started_s = time.monotonic()

    def begin(self) -> bytes:
        role = {"role": "assistant", "content": ""}
        return b"".join(self._chunk(i, role) for i in range(self._body.n))

    def push(self, index: int, piece: Piece) -> bytes:
        if piece.prompt_progress is not None:
            return self._progress(piece) if self._body.return_progress else b""
        if piece.trajectories:
            return self._empty({"heavy": trajectories_object(piece.trajectories)})
        out = b"".join(
            self._chunk(index, delta, piece.logprobs if "content" in delta else ()) for delta in deltas(piece)
        )
        if piece.finish_reason is None:
            return out
        assert piece.usage is not None
        self._usages[index] = piece.usage
        return out + self._chunk(index, {}, last=piece)

    def end(self) -> bytes:
        usage = b""
        if self._body.include_usage:
            total = usage_body([self._usages[i] for i in range(self._body.n)], self._body.n)
            usage = event(self._head | {"object": "chat.completion.chunk", "choices": [], "usage": total})
        return usage + DONE

    def failed(self, body: dict) -> bytes:
        return event(body)

    def whole(self, answers: list[ChatCompletion]) -> dict:
        choices = [
            {
                "index": i,
                "message": _message(turn),
                "logprobs": chat_logprobs(turn.logprobs, self._token_bytes),
                **ending(turn),
            }
            for i, turn in enumerate(answers)
        ]
        body = self._head | {"object": "chat.completion"} | _whole(choices, answers, self._body.n)
        body |= heavy_object(answers[0].heavy)
        warnings = [warning for turn in answers for warning in turn.warnings]
        return body | ({"warnings": warnings} if warnings else {})

    def _chunk(
        self, index: int, delta: dict, logprobs: Sequence[TokenLogprob] = (), last: Piece | None = None
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": chat_logprobs(logprobs, self._token_bytes),
            **ending(last),
        }
        chunk = self._head | {"object": "chat.completion.chunk"} | _chunk(choice, last, self._body.include_usage)
        if last is not None and last.warnings:
            chunk["warnings"] = list(last.warnings)
        return event(chunk | heavy_object(None if last is None else last.heavy))

    def _progress(self, piece: Piece) -> bytes:
        """llama.cpp's prompt_progress."""
        assert piece.prompt_progress is not None
        processed, total = piece.prompt_progress
        progress = {
            "total": total,
            "cache": piece.prompt_cached,
            "processed": processed,
            "time_ms": round((time.monotonic() - self._started_s) * 1e3),
        }
        return self._empty({"prompt_progress": progress})

    def _empty(self, told: dict) -> bytes:
        """A chunk that adds nothing to the answer, for clients that know what else it tells."""
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}
        return event(self._head | {"object": "chat.completion.chunk", "choices": [choice]} | told)


class CompletionBody(body_at(Door.COMPLETIONS)):
    """A request to go on with a text, or with ids; several prompts in a list are answered in one go."""

    prompt: Annotated[Any, WithJsonSchema(fields_at(Door.COMPLETIONS)["prompt"].schema)]  # without a default

    @property
    def prompts(self) -> list:
        """One prompt an item."""
        return [self.prompt] if isinstance(self.prompt, str) or is_ids(self.prompt) else self.prompt

    def questions(self) -> list[Question]:
        """The request for the model, prompt by prompt."""
        options = completion_keywords(self.given())
        return [Question(prompt, options, self.n) for prompt in self.prompts]


class CompletionWriter:
    """Writes text completions, whole or as chunks."""

    def __init__(self, answer_id: str, model: str, fingerprint: str, body: CompletionBody, llm: TextModel):
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
        self._usages: dict[int, Usage] = {}

    def begin(self) -> bytes:
        return b"".join(self._chunk(i, echo) for i, echo in enumerate(self._echoes) if echo)

    def push(self, index: int, piece: Piece) -> bytes:
        if piece.finish_reason is not None:
            assert piece.usage is not None
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
                **ending(answer),
            }
            for i, answer in enumerate(answers)
        ]
        return self._head | _whole(choices, answers, self._body.n)

    def _chunk(self, index: int, text: str, logprobs: Sequence[TokenLogprob] = (), last: Piece | None = None) -> bytes:
        choice = {
            "index": index,
            "text": text,
            "logprobs": self._logprobs_of(index, logprobs),
            **ending(last),
        }
        return event(self._head | _chunk(choice, last, self._body.include_usage))

    def _logprobs_of(self, index: int, logprobs: Sequence[TokenLogprob]) -> dict | None:
        """Log-probabilities of an answer's next tokens, whose offsets go on from those before."""
        found = completion_logprobs(logprobs, self._token_bytes, self._offsets.get(index, 0))
        if found is not None:
            self._offsets[index] = found["text_offset"][-1] + len(found["tokens"][-1])
        return found


def _whole(choices: list[dict], answers: Sequence[ChatCompletion | Completion], n: int) -> dict:
    """The body of whole answers, n to each prompt, behind its head."""
    usage, first = usage_body([answer.usage for answer in answers], n), answers[0]
    return {"choices": choices, "usage": usage, "timings": timings(first.usage, first.timings)}


def _chunk(choice: dict, last: Piece | None, include_usage: bool) -> dict:
    """One chunk of a stream, behind its head. last: the piece that ended the answer."""
    chunk: dict[str, Any] = {"choices": [choice]} | ({"usage": None} if include_usage else {})
    if last is not None:
        assert last.usage is not None and last.timings is not None
        chunk["timings"] = timings(last.usage, last.timings)
    return chunk


def usage_body(usages: Sequence[Usage], n: int) -> dict:
    """OpenAI's usage of a request with n answers to each prompt, prompt by prompt."""
    total = total_usage(usages, n)
    return usage_object(total) | {"cached_tokens": total.cached_tokens}  # Moonshot's place for it


def timings(usage: Usage, times: Timings) -> dict:
    """llama.cpp's timings. The first token comes with the prompt, so the rate is that of the tokens after it."""
    prompt_n, predicted_n = usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": prompt_n,
        "prompt_ms": round(times.prefill_s * 1e3, 3),
        "prompt_per_second": round(prompt_n / times.prefill_s, 3) if times.prefill_s else 0.0,
        "predicted_n": predicted_n,
        "predicted_ms": round(times.decode_s * 1e3, 3),
        "predicted_per_second": round(max(predicted_n - 1, 0) / times.decode_s, 3) if times.decode_s else 0.0,
    }


def _message(turn: ChatCompletion) -> dict:
    """The turn in OpenAI's shape: content is null only beside calls."""
    message = {"refusal": None} | turn.message()
    if message["content"] is None and not turn.tool_calls:
        message["content"] = ""
    return message
