"""The language model as the loop sees it: the body of a line in, OpenAI's response object out."""

import json
from collections.abc import Iterator, Mapping, Sequence

from ..config.field import Door
from ..config.parameters import read
from ..errors import AnswerError, ContextOverflow, EngineDeadError, KimiError, OutOfMemory, RequestError
from ..llm import LLM, Usage
from ..llm.openai import chat_object, completion_object, usage_object
from ..llm.results import total_usage
from .bodies import Call, read_body
from .results import Failure, seed_of
from .source import CHAT, Job
from .worker import Tokens


class LanguageModel:
    """Answers lines. The seed of a request that names none comes from its custom_id and the run's seed."""

    def __init__(self, llm: LLM, seed: int, defaults: Mapping, loading: Mapping):
        """defaults: fields of bodies that do not name them. loading: how llm was loaded, as far as its answers depend
        on it. RequestError: a value that cannot be."""
        self._llm, self._seed, self._defaults = llm, seed, read(defaults, Door.CHAT)
        self.identity = {
            "model": llm.model_hash,
            "seed": str(seed),
            "defaults": json.dumps(defaults, sort_keys=True),
            "loading": json.dumps(loading, sort_keys=True),
        }

    def answer(self, job: Job, resume: Sequence[int]) -> "LanguageAnswer | Failure":
        """See worker.Model."""
        defaults = {**self._defaults, "seed": seed_of(job.custom_id, self._seed)}
        try:
            return LanguageAnswer(self._llm, job, read_body(job.url, job.body, defaults), resume)
        except ContextOverflow as e:
            return Failure(str(e), "context_length_exceeded", "messages" if job.url == CHAT else "prompt")
        except (EngineDeadError, MemoryError, OutOfMemory):
            raise  # no request's fault: the run ends
        except RequestError as e:
            return Failure(str(e), e.code or "invalid_value", e.param)
        except KimiError as e:
            return Failure(str(e), "invalid_value")
        except Exception as e:  # one strange request must not end the night
            return Failure(f"The request cannot be begun: {type(e).__name__}: {e}.", "internal_error", status=500)


class LanguageAnswer:
    """See worker.Answer. Several answers run together and are read one after the other."""

    def __init__(self, llm: LLM, job: Job, call: Call, resume: Sequence[int]):
        self._llm, self._job, self._call = llm, job, call
        self._token_bytes = llm.tokenizer.token_bytes if "logprobs" in call.options else None
        self.resumable = len(call.prompts) == call.n == 1 and "logprobs" not in call.options
        if self.resumable:
            self._handles = [llm.submit(call.prompts[0], resume=resume, **call.options)]
        else:
            self._handles = [h for prompt in call.prompts for h in llm.samples(prompt, call.n, **call.options)]

    def __iter__(self) -> Iterator[Sequence[int]]:
        return (piece.token_ids for handle in self._handles for piece in handle)

    def cancel(self) -> None:
        """See worker.Answer."""
        for handle in self._handles:
            handle.cancel()

    def body(self) -> dict:
        """One object with the choices of all answers. Its id is the line's, so that every run gives it the same."""
        try:
            return self._body()
        except MemoryError:
            raise
        except Exception as e:  # one strange answer must not end the night
            raise AnswerError.of(e) from e

    def _body(self) -> dict:
        objects = [self._object(i) for i in range(len(self._handles))]
        whole = objects[0]
        whole["id"] = f"{whole['id'].partition('-')[0]}-{self._job.key.hex()}"
        whole["choices"] = [one["choices"][0] | {"index": index} for index, one in enumerate(objects)]
        whole["usage"] = usage_object(self._usage())
        return whole

    def tokens(self) -> Tokens:
        """Of all prompts, each counted once, and of all answers."""
        usage = self._usage()
        return Tokens(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)

    def _usage(self) -> Usage:
        return total_usage([handle.result().usage for handle in self._handles], self._call.n)

    def _object(self, index: int) -> dict:
        result, name = self._handles[index].result(), self._llm.path.stem
        if self._job.url == CHAT:
            return chat_object(result, name, self._token_bytes)
        prompt = self._call.prompts[index // self._call.n] if self._call.echo else ""
        text = prompt if isinstance(prompt, str) else self._llm.detokenize(prompt)
        return completion_object(result, name, self._token_bytes, text)
