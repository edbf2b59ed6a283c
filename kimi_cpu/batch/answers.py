"""A model of this process as the pool sees it. It reads the bodies of requests as the server does."""

import json
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..config.field import Door, is_ids
from ..config.parameters import chat_keywords, completion_keywords, read
from ..errors import AnswerError, ContextOverflow, EngineDeadError, KimiError, OutOfMemory, RequestError
from ..llm import LLM, Usage
from ..llm.openai import chat_object, completion_object, usage_object
from ..llm.results import ChatCompletion, total_usage
from .model import Answered, Failed, Grown, Lost, Tokens
from .results import Failure, seed_of
from .source import CHAT, Question

DECISIVE = ("compute", "context", "kv")  # of how a model is loaded, the part that its answers depend on


class LanguageModel:
    """A model.Model in this process. The seed of a request that names none comes from its custom_id and the run's."""

    lag_s = 0.0

    def __init__(self, llm: LLM, seed: int, defaults: Mapping, loading: Mapping):
        """defaults: fields of bodies that do not name them. loading: the keywords with which llm was loaded.
        RequestError: a value that cannot be."""
        self._llm, self._seed, self._defaults = llm, seed, read(defaults, Door.CHAT)
        self._answers: dict[bytes, _Answer] = {}
        self._failed: list[Failed] = []
        self._news: queue.SimpleQueue[tuple[bytes, int]] = queue.SimpleQueue()  # of which request, of which sample
        self._wake: Callable[[], None] = lambda: None
        self.identity = {
            "model": llm.model_hash,
            "seed": str(seed),
            "defaults": json.dumps(defaults, sort_keys=True),
            "loading": json.dumps({name: loading[name] for name in DECISIVE if name in loading}, sort_keys=True),
        }

    def connect(self, wake: Callable[[], None]) -> None:
        """See model.Model."""
        self._wake = wake

    def start(self, question: Question, resume: Sequence[int]) -> None:
        """See model.Model. EngineDeadError is Lost."""
        try:
            self._start(question, resume)
        except ContextOverflow as e:
            param = "messages" if question.url == CHAT else "prompt"
            self._fail(question.key, str(e), "context_length_exceeded", param)
        except EngineDeadError as e:
            raise Lost(str(e)) from e
        except (MemoryError, OutOfMemory):
            raise  # no request's fault: the run ends
        except RequestError as e:
            self._fail(question.key, str(e), e.code or "invalid_value", e.param)
        except KimiError as e:
            self._fail(question.key, str(e), "invalid_value")
        except Exception as e:  # one strange request must not end the night
            message = f"The request cannot be begun: {type(e).__name__}: {e}."
            self._fail(question.key, message, "internal_error", status=500)

    def poll(self) -> list[Grown | Answered | Failed]:
        """See model.Model."""
        events: list[Grown | Answered | Failed] = [*self._failed]
        self._failed.clear()
        for key, sample in self._all_news():
            if key not in self._answers:
                continue
            try:
                more = self._answers[key].read(sample)
            except EngineDeadError as e:
                if not events:
                    raise Lost(str(e)) from e
                self._tell(key, sample)  # Lost when what came before is taken
            except OutOfMemory:
                raise  # no request's fault: the run ends
            except KimiError as e:
                events.append(Failed(key, Failure(str(e), "internal_error", status=500)))
                self._answers.pop(key).cancel()
            else:
                events += more
                if more and isinstance(more[-1], Answered):
                    del self._answers[key]
        return events

    def withdraw(self, key: bytes) -> None:
        """See model.Model."""
        self._failed = [failed for failed in self._failed if failed.key != key]
        if key in self._answers:
            self._answers.pop(key).cancel()

    def cancel(self) -> None:
        """See model.Model."""
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()

    def _start(self, question: Question, resume: Sequence[int]) -> None:
        defaults = {**self._defaults, "seed": seed_of(question.custom_id, self._seed)}
        asked = read_body(question.url, question.body, defaults)
        answer = self._answers[question.key] = _Answer(self._llm, question, asked, resume)
        for sample, handle in enumerate(answer.handles):
            handle.listen(partial(self._tell, question.key, sample))

    def _fail(self, key: bytes, message: str, code: str, param: str | None = None, status: int = 400) -> None:
        self._failed.append(Failed(key, Failure(message, code, param, status)))
        self._wake()

    def _tell(self, key: bytes, sample: int) -> None:
        """A sample of a request has more; from any thread."""
        self._news.put((key, sample))
        self._wake()

    def _all_news(self) -> dict[tuple[bytes, int], None]:
        news: dict[tuple[bytes, int], None] = {}
        with suppress(queue.Empty):
            while True:
                news[self._news.get_nowait()] = None
        return news


class _Answer:
    """The answer to one question on its way: one or more samples, which run together."""

    def __init__(self, llm: LLM, question: Question, asked: "Asked", resume: Sequence[int]):
        self._llm, self._question, self._asked = llm, question, asked
        if "logprobs" in asked.options:
            _ = llm.tokenizer  # logprobs name tokens
        is_one = len(asked.prompts) == asked.n == asked.options.get("heavy", 1) == 1
        self._resumable = is_one and "logprobs" not in asked.options
        if self._resumable:
            self.handles = [llm.submit(asked.prompts[0], resume=resume, **asked.options)]
        else:
            self.handles = [h for prompt in asked.prompts for h in llm.samples(prompt, asked.n, **asked.options)]
        self._num_known = len(resume) if self._resumable else 0  # ids at the beginning that are no news
        self._num_read = [0] * len(self.handles)  # pieces of each
        self._num_open = len(self.handles)

    def read(self, sample: int) -> list[Grown | Answered]:
        """All that came of one sample, and the whole answer behind its last piece. KimiError."""
        events: list[Grown | Answered] = []
        while pieces := self.handles[sample].ready(self._num_read[sample]):  # a failure comes behind the last piece
            self._num_read[sample] += len(pieces)
            ids = [token_id for piece in pieces for token_id in piece.token_ids]
            new = ids[self._num_known :]
            self._num_known -= len(ids) - len(new)
            events.append(Grown(self._question.key, new, self._resumable))
            self._num_open -= pieces[-1].finish_reason is not None
            if not self._num_open:
                events.append(self._answered())
        return events

    def cancel(self) -> None:
        """Ends all samples."""
        for handle in self.handles:
            handle.cancel()

    def _answered(self) -> Answered:
        """All choices in one object. Its id is the line's, so that every run gives it the same."""
        try:
            objects = [self._object(i) for i in range(len(self.handles))]
            usage = total_usage([handle.result().usage for handle in self.handles], self._asked.n)
        except MemoryError:
            raise
        except Exception as e:  # one strange answer must not end the night
            raise AnswerError.of(e) from e
        whole = objects[0]
        whole["id"] = f"{whole['id'].partition('-')[0]}-{self._question.key.hex()}"
        whole["choices"] = [one["choices"][0] | {"index": index} for index, one in enumerate(objects)]
        whole["usage"] = usage_object(usage)
        return Answered(self._question.key, whole, _tokens(usage))

    def _object(self, index: int) -> dict:
        result, name = self.handles[index].result(), self._llm.path.stem
        if isinstance(result, ChatCompletion):
            return chat_object(result, name, self._token_bytes)
        prompt = self._asked.prompts[index // self._asked.n] if self._asked.echo else ""
        text = prompt if isinstance(prompt, str) else self._llm.detokenize(prompt)
        return completion_object(result, name, self._token_bytes, text)

    def _token_bytes(self, token_id: int) -> bytes:
        return self._llm.tokenizer.token_bytes(token_id)


def _tokens(usage: Usage) -> Tokens:
    return Tokens(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


@dataclass(frozen=True)
class Asked:
    """n answers to each prompt, which is messages, a text or ids. options: of LLM.submit. echo: OpenAI's."""

    prompts: list
    n: int
    options: dict
    echo: bool = False


def read_body(url: str, body: Mapping[str, Any], defaults: Mapping[str, Any]) -> Asked:
    """A body, checked as the server checks it. defaults: fields that it has where it does not name them. RequestError
    names the field."""
    given = read(body, Door.CHAT if url == CHAT else Door.COMPLETIONS, defaults)
    if given.get("stream"):
        raise RequestError("stream is true, but a batch has no streams. Leave it out.", "stream", "invalid_value")
    return (_chat if url == CHAT else _completion)(given)


def _chat(given: dict) -> Asked:
    return Asked([_required(given, "messages")], given.get("n", 1), chat_keywords(given))


def _completion(given: dict) -> Asked:
    prompt = _required(given, "prompt")
    prompts = [prompt] if isinstance(prompt, str) or is_ids(prompt) else prompt
    return Asked(prompts, given.get("n", 1), completion_keywords(given), given.get("echo", False))


def _required(given: dict, name: str) -> Any:
    if name not in given:
        raise RequestError(f"{name} is missing.", name, "missing_required_parameter")
    return given[name]
