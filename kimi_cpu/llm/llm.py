"""LLM, the composition root: it binds file, model, engine and tokenizer, and is what a program holds."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..chat.deltas import Delta, Message, join
from ..engine import MAX_SEED, EngineThread, Request, Sampling
from ..errors import (
    ConfigError,
    ContextOverflow,
    EngineDeadError,
    ModelFileError,
    RequestError,
    TemplateError,
    TokenizerError,
)
from ..kernels import runtime
from ..modelfile import ModelFile
from ..tokenizer import Tokenizer
from .conversation import ChatOptions, Conversation
from .generation import Generation
from .guide import ChatGuide
from .loading import LoadOptions, make_engine, model_hash
from .reading import ChatReader, RawReader
from .results import ChatCompletion, Completion, Piece, message_of
from .session import LLMSession


def load(path: str | os.PathLike | None = None, **options) -> "LLM":
    """A model, ready to run. path: a model file, or $KIMI_CPU_MODEL when None. options: fields of LoadOptions.

    Raises ModelFileError, ConfigError, OutOfMemory.
    """
    path = path or os.environ.get("KIMI_CPU_MODEL")
    if not path:
        raise ConfigError("No model was named. Pass a file, or set KIMI_CPU_MODEL.")
    known = {f.name for f in fields(LoadOptions)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(f"Unknown option {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return LLM(Path(path), LoadOptions(**{k: v for k, v in options.items() if v is not None}))


class _Turn(NamedTuple):
    """What is asked: a prompt, and how to steer and to read each answer to it."""

    prompt_ids: list[int]
    params: Sampling
    reader: Callable[[ChatGuide | None], RawReader | ChatReader]
    guide: Callable[[int], ChatGuide | None]  # of the tokens that may be generated
    conversation: Conversation | None = None


class LLM:
    """A loaded model. Thread-safe; close it, or use it as a context manager."""

    def __init__(self, path: Path, options: LoadOptions):
        self._file = ModelFile.open(path)
        try:
            self.path, self.config = path, self._file.config
            self._tokenizer, self._no_tokenizer = _tokenizer_of(self._file)
            engine, self.context = make_engine(self._file, options)
        except BaseException:
            self._file.close()
            raise
        self._read_ahead = options.read_ahead
        self._thread = EngineThread(engine, prepare=lambda: runtime.configure(options.threads))

    def close(self) -> None:
        """Ends running requests and gives the memory back. May be called again."""
        self._thread.close()
        self._file.close()

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    @property
    def tokenizer(self) -> Tokenizer:
        """The file's tokenizer; TokenizerError when it has none."""
        if self._tokenizer is None:
            raise TokenizerError(f"{self.path} cannot take text: {self._no_tokenizer}. Token ids work.")
        return self._tokenizer

    @cached_property
    def model_hash(self) -> str:
        """Names the weights, in hex."""
        return model_hash(self._file)

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text; special: names such as <|im_end|> become control tokens."""
        return self.tokenizer.encode(text, special=special)

    def detokenize(self, ids: list[int]) -> str:
        """Text of ids."""
        return self.tokenizer.decode(ids)

    def generate(self, prompt: str | list[int], **sampling) -> Completion:
        """The answer to a raw prompt (text, or ids), without the chat template. sampling: fields of Sampling."""
        pieces = list(self._start(self._raw(prompt, sampling))[0])
        last = pieces[-1]
        return Completion(
            text="".join(p.content for p in pieces),
            token_ids=tuple(i for p in pieces for i in p.token_ids),
            finish_reason=last.finish_reason,
            usage=last.usage,
            timings=last.timings,
            logprobs=tuple(x for p in pieces for x in p.logprobs),
        )

    def chat(self, messages: list[dict], session: LLMSession | None = None, **options) -> ChatCompletion:
        """The next turn of a conversation. options: fields of ChatOptions and of Sampling.

        session: what was computed and generated for the conversation so far is not computed again.
        """
        pieces = list(self._start(self._chat(messages, options), session)[0])
        last = pieces[-1]
        deltas = [Delta(p.content, p.reasoning_content, p.tool_calls, p.finish_reason, p.warnings) for p in pieces]
        message = join(deltas)
        return ChatCompletion(
            content=message.content,
            reasoning_content=message.reasoning_content,
            tool_calls=message.tool_calls,
            finish_reason=message.finish_reason,
            usage=last.usage,
            timings=last.timings,
            token_ids=tuple(i for p in pieces for i in p.token_ids),
            warnings=message.warnings,
            logprobs=tuple(x for p in pieces for x in p.logprobs),
        )

    def stream(
        self, prompt: str | list, session: LLMSession | None = None, resume: Sequence[int] = (), **options
    ) -> Iterator[Piece]:
        """generate (prompt: a text, or ids) or chat (a list of messages), piece by piece; closing it cancels.

        resume: ids that this model generated for the same request and seed before; the answer goes on from there with
        the tokens that it would have had, and its pieces begin with these.
        """
        return iter(self._start(self._turn(prompt, options), session, resume=resume)[0])

    def session(self) -> LLMSession:
        """An empty conversation, to be passed to chat and stream, and saved."""
        return LLMSession(self._thread, self.model_hash)

    def load_session(self, path: str | os.PathLike) -> LLMSession:
        """The conversation that was saved in a file. SessionError: it is corrupt, or of another model."""
        return LLMSession.load(self._thread, self.model_hash, Path(path))

    def samples(self, prompt: str | list, n: int = 1, session: LLMSession | None = None, **options) -> list[Generation]:
        """n answers to one prompt, which is computed once; iterate each for its pieces. Arguments as in stream.

        With a seed, the answers have seed, seed + 1, …
        """
        if n < 1:
            raise RequestError(f"n is {n}; it must be 1 or more.")
        return self._start(self._turn(prompt, options), session, n)

    def _start(
        self, turn: _Turn, session: LLMSession | None = None, n: int = 1, resume: Sequence[int] = ()
    ) -> list[Generation]:
        first = self._request(turn, session, 0)
        if resume and len(resume) >= first.max_tokens:
            raise RequestError(f"{len(resume)} tokens to resume with leave none of {first.max_tokens} to generate.")
        first.resume(resume)
        requests = [first, *(self._request(turn, session, i, parent=first) for i in range(1, n))]

        def done(request: Request, num_tokens: int, message: Message) -> None:
            if session is not None:
                session.follow(request, num_tokens)
            if turn.conversation is not None and n == 1 and self._read_ahead:
                self._prefill(turn.conversation, message, session)

        return [Generation(self._thread, r, turn.reader(r.guide), done if r is first else None) for r in requests]

    def _prefill(self, conversation: Conversation, turn: Message, session: LLMSession | None) -> None:
        """Has what the next turn's prompt will begin with computed in idle time."""
        with suppress(RequestError, TemplateError, EngineDeadError):  # it only saves time
            ids = conversation.following(message_of(turn))[: self.context - 1]
            forms = None if session is None else session.forms(ids)
            self._thread.submit(Request(ids, Sampling(), 0, forms=forms, idle=True))

    def _turn(self, prompt: str | list, options: dict) -> _Turn:
        is_chat = isinstance(prompt, list) and prompt and isinstance(prompt[0], dict)
        return self._chat(prompt, options) if is_chat else self._raw(prompt, options)

    def _raw(self, prompt: str | list[int], options: dict) -> _Turn:
        params = sampling_of(options)
        if params.stop:
            _ = self.tokenizer  # stop texts need one
        silent = frozenset() if params.ignore_eos else self._stop_ids()
        return _Turn(
            self._ids(prompt), params, lambda _: RawReader(self._tokenizer, params.stop, silent), lambda _: None
        )

    def _chat(self, messages: list[dict], options: dict) -> _Turn:
        names = {f.name for f in fields(ChatOptions)}
        chat = ChatOptions(**{k: v for k, v in options.items() if k in names})
        params = sampling_of({k: v for k, v in options.items() if k not in names})
        template = self._file.metadata.get("tokenizer.chat_template")
        conversation = Conversation(messages, chat, self.tokenizer, template)
        return _Turn(
            self._ids(conversation.prompt_ids),
            params,
            lambda guide: conversation.reader(params.stop, guide),
            lambda max_tokens: conversation.guide(max_tokens, self.config.vocab_size),
            conversation,
        )

    def _request(self, turn: _Turn, session: LLMSession | None, number: int, parent: Request | None = None) -> Request:
        """The number-th sample of a turn."""
        max_tokens, params = self._room_for(turn.prompt_ids, turn.params), turn.params
        self._require_ids(params.logit_bias, "logit_bias: ")
        if params.seed is not None:
            params = replace(params, seed=(params.seed + number) % MAX_SEED)
        forms = None if session is None else session.forms(turn.prompt_ids)
        guide = turn.guide(max_tokens)
        return Request(turn.prompt_ids, params, max_tokens, self._stop_ids(), guide, forms, parent=parent)

    def logits(self, ids: list[int]) -> np.ndarray:
        """Teacher-forced logits f32[len(ids), vocab]: row i is what follows ids[: i + 1]."""
        ids = self._ids(list(ids))
        request = Request(ids, Sampling(), 0, logits=True)
        self._room_for(ids, Sampling(max_tokens=0))
        outbox, parts, done = self._thread.submit(request), [], False
        while not done:
            output = outbox.get()
            if isinstance(output, BaseException):
                raise output
            parts.append(output.logits)
            done = output.finish_reason is not None
        return np.concatenate(parts)

    def _ids(self, prompt: str | list[int]) -> list[int]:
        ids = self.tokenize(prompt) if isinstance(prompt, str) else [int(i) for i in prompt]
        if not ids:
            raise RequestError("The prompt is empty; at least one token is needed.")
        self._require_ids(ids)
        return ids

    def _require_ids(self, ids: Iterable[int], what: str = "") -> None:
        bad = next((i for i in ids if not 0 <= i < self.config.vocab_size), None)
        if bad is not None:
            raise RequestError(f"{what}Token id {bad} is outside the vocabulary of {self.config.vocab_size}.")

    def _room_for(self, ids: list[int], params: Sampling) -> int:
        """Tokens that may be generated after ids."""
        room = self.context - len(ids)
        if room < 0 or (room == 0 and params.max_tokens != 0):
            raise ContextOverflow(
                f"The prompt has {len(ids)} tokens and the context {self.context}. "
                "Shorten the prompt or load the model with a larger context."
            )
        return room if params.max_tokens is None else min(room, params.max_tokens)

    def _stop_ids(self) -> frozenset[int]:
        ids = set(self.config.eos_token_ids)
        if self._tokenizer is not None:
            ids.update(self._tokenizer.eos_ids)
        return frozenset(ids)


def sampling_of(options: dict) -> Sampling:
    """Sampling of keywords; an unknown one is a RequestError that names the known."""
    known = {f.name for f in fields(Sampling)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise RequestError(f"Unknown sampling parameter {unknown[0]!r}; known: {', '.join(sorted(known))}.")
    return Sampling(**options)


def _tokenizer_of(file: ModelFile) -> tuple[Tokenizer | None, str | None]:
    """The tokenizer that a file carries, or why there is none."""
    if "tokenizer.ranks" not in file.tensors:
        return None, "its checkpoint had no tokenizer"
    try:
        return Tokenizer.from_model_file(file), None
    except TokenizerError as e:
        raise ModelFileError(f"{file.path}: {e}") from e
